import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.share.mixture import (
  Mixture,
  assign,
  component_table,
  hyper_priors,
  log_joint,
  merge_components,
  negative_log_prior,
)


def table(means, variances, proportions):
  rows = [means, -np.log(variances), np.log(proportions)]
  return jnp.asarray(np.stack(rows), jnp.float32)


TABLE = table([0.0, -0.5, 0.5], [0.01, 0.04, 0.04], [0.9, 0.05, 0.05])
W = jnp.array([0.02, 0.45, -0.7])
LIVE = jnp.ones(3, bool)


def test_log_density_and_responsibilities_of_three_weights():
  log_p = jax.nn.logsumexp(log_joint(W, TABLE), axis=1)
  np.testing.assert_allclose(log_p, [1.260838, -2.334983, -2.805233], rtol=1e-5)
  total = negative_log_prior(W, LIVE, TABLE)
  np.testing.assert_allclose(total, 3.879377, rtol=1e-5)
  np.testing.assert_array_equal(assign(W, LIVE, TABLE), [0, 2, 1])


def whole(w, live, table):
  log_p = jax.nn.logsumexp(log_joint(w.ravel(), table), axis=1)
  return -(log_p * live.ravel()).sum()


@pytest.mark.parametrize('size', [(7, 9), (50, 100)])
def test_value_and_gradients_are_those_of_the_sum(size):
  w = jax.random.normal(jax.random.key(0), size)
  live = jax.random.uniform(jax.random.key(1), w.shape) < 0.8
  both = lambda f: jax.jit(jax.value_and_grad(f, (0, 1)))(w, TABLE)
  value, (to_w, to_table) = both(
    lambda w, t: 3 * negative_log_prior(w, live, t)
  )
  want, (want_w, want_table) = both(lambda w, t: 3 * whole(w, live, t))
  np.testing.assert_allclose(value, want, rtol=1e-5)
  np.testing.assert_allclose(to_table, want_table, rtol=1e-3)
  np.testing.assert_allclose(to_w, want_w, atol=1e-4 * abs(want_w).max())
  assert not to_w[~live].any()


def test_points_between_are_as_near_as_they_say():
  """Points that are off by one would shift every weight by a step."""
  w = jnp.linspace(-1.0, 1.0, 5001) ** 3
  live = jnp.ones(w.shape, bool)
  sharp = table([0.0, 0.3, -0.6], [4e-4] * 3, [0.8, 0.1, 0.1])
  both = lambda f: jax.jit(jax.value_and_grad(f))(w)
  value, slope = both(lambda w: negative_log_prior(w, live, sharp))
  want, exact = both(lambda w: whole(w, live, sharp))
  one = lambda x: negative_log_prior(x[None], live[:1], sharp)
  bend = jax.jit(jax.vmap(jax.grad(jax.grad(one))))(jnp.linspace(-1, 1, 9999))
  step = 2 / 4095
  assert abs(value - want) < w.size * step**2 / 8 * abs(bend).max()
  np.testing.assert_allclose(slope, exact, atol=6e-3 * abs(exact).max())


@pytest.mark.parametrize('value', [0.0, 0.25])
def test_equal_and_dead_weights(value):
  w, live = jnp.full(5000, value), jnp.zeros(5000, bool)
  assert negative_log_prior(w, live, TABLE) == 0
  live = live.at[:7].set(True)
  got, slope = jax.value_and_grad(negative_log_prior)(w, live, TABLE)
  want, exact = jax.value_and_grad(negative_log_prior)(w[:7], live[:7], TABLE)
  np.testing.assert_allclose(got, want, rtol=1e-5)
  np.testing.assert_allclose(slope[:7], exact, rtol=1e-5)


def test_gradient_of_a_mean_is_that_of_its_members():
  r = jax.nn.softmax(log_joint(W, TABLE), axis=1)
  grad = jax.grad(negative_log_prior, 2)(W, LIVE, TABLE)[0]
  gaps = W[:, None] - TABLE[0]
  want = -(r * gaps * jnp.exp(TABLE[1])).sum(0)
  np.testing.assert_allclose(grad, want, rtol=1e-4)


def test_the_order_of_components_does_not_matter():
  np.testing.assert_allclose(
    negative_log_prior(W, LIVE, TABLE[:, ::-1]),
    negative_log_prior(W, LIVE, TABLE),
    rtol=1e-6,
  )


def test_one_component_is_weight_decay():
  alone = table([0.0], [0.04], [1.0])
  grad = jax.grad(negative_log_prior)(W, LIVE, alone)
  np.testing.assert_allclose(grad, W / 0.04, rtol=1e-5)


def test_far_components_do_not_underflow():
  far = negative_log_prior(jnp.array([1e3]), LIVE[:1], TABLE)
  assert jnp.isfinite(far) and far > 1e6


def test_gamma_priors_have_their_modes_where_they_should():
  slope = jax.grad(lambda l: hyper_priors(TABLE.at[1, :2].set(l), gammas, None))
  gammas = (5000.0, 2.0), (250.0, 0.1), None
  modes = jnp.log(jnp.array([4999 / 2.0, 249 / 0.1]))
  np.testing.assert_allclose(slope(modes), 0, atol=1e-2)
  np.testing.assert_allclose(jnp.exp(-modes), [4.0008e-4, 4.0161e-4], rtol=1e-4)


def test_beta_prior_of_the_first_proportion():
  got = hyper_priors(TABLE, (None,) * 3, (5.0, 3.0))
  want = -4 * np.log(0.9) - 2 * np.log(0.1)
  np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize('zero', [0.9, None])
def test_proportions_add_up_to_one(zero):
  size = 2 if zero else 3
  mixture = Mixture(jnp.ones(2), jnp.zeros(3), jnp.arange(1.0, size + 1))
  proportions = jnp.exp(component_table(mixture, zero)[2])
  np.testing.assert_allclose(proportions.sum(), 1, rtol=1e-6)
  if zero:
    np.testing.assert_allclose(proportions[0], 0.9, rtol=1e-6)


def test_merging_two_components():
  three = table([0.0, 0.5, 0.6], [0.01, 0.04, 0.01], [0.95, 0.02, 0.03])
  merged = merge_components(three, 2.0)
  np.testing.assert_allclose(merged[0, 1], 0.56, rtol=1e-6)
  np.testing.assert_allclose(jnp.exp(-merged[1, 1]), 0.022, rtol=1e-6)
  np.testing.assert_allclose(jnp.exp(merged[2]), [0.95, 0.05, 0], rtol=1e-6)


@pytest.mark.parametrize(
  ('first', 'second', 'divergence'),
  [((-0.5, 0.04), (0.5, 0.04), 12.5), ((0, 0.01), (0.1, 0.04), 0.4431472)],
)
def test_components_merge_below_their_divergence(first, second, divergence):
  pair = table(*zip(first, second, strict=True), [0.4, 0.6])
  alive = lambda below: int(
    jnp.isfinite(merge_components(pair, below)[2]).sum()
  )
  assert alive(divergence * 0.999) == 2 and alive(divergence * 1.001) == 1


def test_what_merges_into_the_first_component_becomes_zero():
  near = table([0.0, 1e-3], [0.01, 0.01], [0.5, 0.5])
  merged = merge_components(near, 0.1)
  assert merged[0, 0] == 0
  np.testing.assert_array_equal(assign(jnp.ones(2), LIVE[:2], merged), 0)


def test_dead_weights_belong_to_the_first_component():
  codes = assign(W, jnp.array([True, False, True]), TABLE)
  np.testing.assert_array_equal(codes, [0, 0, 1])

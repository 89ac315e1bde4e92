import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.share.mixture import log_joint
from jcompress.share.prior import negative_log_prior


def table(means, variances, proportions):
  rows = [means, -np.log(variances), np.log(proportions)]
  return jnp.asarray(np.stack(rows), jnp.float32)


TABLE = table([0.0, -0.5, 0.5], [0.01, 0.04, 0.04], [0.9, 0.05, 0.05])
W = jnp.array([0.02, 0.45, -0.7])
LIVE = jnp.ones(3, bool)


def test_value_of_three_weights():
  total = negative_log_prior(W, LIVE, TABLE)
  np.testing.assert_allclose(total, 3.879377, rtol=1e-5)


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


def gradients_in_float64(w, table):
  """Of the weights and of the table, weight by weight."""
  w = np.asarray(w, np.float64)[:, None]
  means, log_precisions, logs = np.asarray(table, np.float64)
  precisions = np.exp(log_precisions)
  joint = logs + log_precisions / 2 - precisions * (w - means) ** 2 / 2
  share = np.exp(joint - joint.max(1, keepdims=True))
  share /= share.sum(1, keepdims=True)
  slopes = precisions * (w - means)
  bends = (1 - precisions * (w - means) ** 2) / 2
  to_table = -np.stack([(share * x).sum(0) for x in (slopes, bends, 1 + 0 * w)])
  return (share * slopes).sum(1), to_table


@pytest.mark.parametrize('outlier', [0.11, 1.0, 1000.0, 1e6])
@pytest.mark.parametrize('deviation', [0.25, 0.02, 2e-4])
def test_gradients_are_near_those_in_float64(outlier, deviation):
  """Outliers take no points from the rest, narrow components get theirs."""
  w = 0.1 * np.random.default_rng(0).normal(size=20_000).astype(np.float32)
  w[7] = outlier
  means, shares = (
    np.r_[0, np.linspace(-0.3, 0.3, 16)],
    np.r_[0.5, [0.5 / 16] * 16],
  )
  mixture = table(means, np.full(17, deviation**2), shares)
  live = jnp.ones(w.shape, bool)
  got, got_table = jax.grad(negative_log_prior, (0, 2))(
    jnp.asarray(w), live, mixture
  )
  want, want_table = gradients_in_float64(w, mixture)
  np.testing.assert_allclose(got[7], want[7], rtol=1e-4)
  off, want = np.delete(got - want, 7), np.delete(want, 7)
  assert np.sqrt((off**2).mean() / (want**2).mean()) < 0.02
  off = np.linalg.norm(got_table - want_table, axis=1)
  assert (off < 2e-3 * np.linalg.norm(want_table, axis=1)).all()


def test_huge_weights_do_not_overflow():
  w = jnp.array([1e30, -1e30, 1e28])
  wide = table([0.0, 1e30], [1.0, 1.0], [0.5, 0.5]).at[1].set(-2 * np.log(1e29))
  value, slope = jax.value_and_grad(negative_log_prior)(w, LIVE, wide)
  assert np.isfinite(value) and np.isfinite(slope).all()

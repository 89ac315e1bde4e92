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
  np.testing.assert_array_equal(assign(W, LIVE, TABLE), [0, 2, 1])


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

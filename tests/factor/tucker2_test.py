import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor.tucker2 import tucker2_factors

T = np.random.RandomState(0).randn(3, 3, 6, 8)


def product(first, core, last):
  shapes = np.float64(first[0, 0]), np.float64(core), np.float64(last[0, 0])
  return np.einsum('ia,hwab,bo->hwio', *shapes)


def missed(*args, **kwargs):
  return np.square(T - product(*tucker2_factors(*args, **kwargs))).sum()


@pytest.mark.parametrize(
  ('sweeps', 'error'),
  [(0, 230.308660), (1, 220.857747), (2, 219.815376), (50, 219.747882)],
)
def test_the_error_of_each_sweep(sweeps, error):
  kernel = jnp.float32(T)
  np.testing.assert_allclose(missed(kernel, (3, 4), sweeps), error, rtol=2e-6)


def test_the_error_is_what_the_core_lacks_and_scales_with_the_kernel():
  first, core, last = tucker2_factors(jnp.float32(T), (3, 4))
  assert (first.shape, core.shape, last.shape) == (
    (1, 1, 6, 3),
    (3, 3, 3, 4),
    (1, 1, 4, 8),
  )
  assert first.size + core.size + last.size == 158
  np.testing.assert_allclose(
    np.square(T).sum() - np.square(core).sum(), 219.747882, rtol=1e-5
  )
  np.testing.assert_allclose(first[0, 0].T @ first[0, 0], np.eye(3), atol=1e-5)
  np.testing.assert_allclose(last[0, 0] @ last[0, 0].T, np.eye(4), atol=1e-5)
  scaled = tucker2_factors(jnp.ldexp(jnp.float32(T), 60), (3, 4))
  np.testing.assert_array_equal(jnp.ldexp(scaled[1], -60), core)


def test_full_ranks_lose_nothing():
  assert missed(jnp.float32(T), (6, 8)) < 1e-8


def test_dense_kernels_and_wide_channels():
  w = np.random.RandomState(1).randn(9, 5)
  first, core, last = tucker2_factors(jnp.float32(w), (2, 2))
  tail = np.linalg.svd(w, compute_uv=False)[2:]
  np.testing.assert_allclose(
    np.square(w - first @ core @ last).sum(), np.square(tail).sum(), rtol=1e-5
  )


def test_stacked_layers_are_factored_at_once():
  stack = jnp.float32(np.random.RandomState(2).randn(2, 3, 3, 4, 5))
  many = jax.vmap(lambda k: tucker2_factors(k, (2, 3)))(stack)
  for i, k in enumerate(stack):
    one = product(*tucker2_factors(k, (2, 3)))
    np.testing.assert_allclose(product(*(f[i] for f in many)), one, atol=1e-4)


def test_zeros_and_empty_kernels_have_factors():
  first, core, last = tucker2_factors(jnp.zeros((3, 3, 4, 5)), (2, 2))
  assert first.any() and last.any() and not core.any()
  empty = tucker2_factors(jnp.zeros((3, 3, 0, 5)), (2, 2))
  assert [f.shape for f in empty] == [(1, 1, 0, 2), (3, 3, 2, 2), (1, 1, 2, 5)]


@pytest.mark.parametrize('ranks', [(0, 1), (7, 1), (1, 9), (1, 0)])
def test_ranks_out_of_range_are_refused(ranks):
  with pytest.raises(ValueError, match='allows 1 .. 6 and 1 .. 8'):
    tucker2_factors(jnp.float32(T), ranks)


def test_ranks_that_the_other_cannot_use_are_refused():
  with pytest.raises(ValueError, match='none more than 1 times'):
    tucker2_factors(jnp.ones((1, 1, 6, 8)), (2, 3))
  with pytest.raises(ValueError, match='two axes'):
    tucker2_factors(jnp.ones(3), (1, 1))

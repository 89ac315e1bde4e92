import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor import canonical
from jcompress.factor.canonical import canonical_factors

R = np.random.RandomState
K = R(0).randn(3, 3, 4, 5)


def product(first, vertical, horizontal, last):
  modes = vertical[:, 0, 0], horizontal[0, :, 0], first[0, 0], last[0, 0]
  return np.einsum('hr,wr,ir,ro->hwio', *(np.float64(m) for m in modes))


def missed(kernel, found):
  return np.square(kernel - product(*found)).sum()


@pytest.mark.parametrize(
  ('rank', 'error'),
  [(1, 149.788653), (2, 120.632346), (4, 78.573777), (8, 27.849709)],
)
def test_errors_of_ranks(rank, error):
  found = canonical_factors(jnp.float32(K), rank, starts=32 if rank == 8 else 8)
  np.testing.assert_allclose(missed(K, found), error, rtol=0.01)
  assert sum(f.size for f in found) == rank * 15
  shapes = [(1, 1, 4, rank), (3, 1, 1, rank), (1, 3, 1, rank), (1, 1, rank, 5)]
  assert [f.shape for f in found] == shapes


def test_an_exact_rank_is_found():
  r = R(0)
  factors = [r.randn(n, 2) for n in (3, 3, 4, 5)]
  exact = np.einsum('hr,wr,ir,or->hwio', *factors)
  np.testing.assert_allclose(np.square(exact).sum(), 391.100061, rtol=1e-8)
  assert missed(exact, canonical_factors(jnp.float32(exact), 2)) < 1e-6
  one = missed(exact, canonical_factors(jnp.float32(exact), 1))
  np.testing.assert_allclose(one, 67.171079, rtol=1e-5)


E = np.eye(2)
ALTERNATE = jax.jit(canonical.alternate)
DEGENERATE = sum(
  np.einsum('i,j,k->ijk', *(E[i] for i in places))
  for places in ((0, 0, 1), (0, 1, 0), (1, 0, 0))
)


def fitted(sweeps, ridge):
  """Error and norms of two components of a tensor of rank three."""
  start = [jnp.float64(R(seed).randn(2, 2)) for seed in (0, 5, 6)]
  tensor = jnp.float64(DEGENERATE)
  found = ALTERNATE(tensor, start, sweeps, ridge)
  sums = np.einsum('ar,br,cr->abc', *found)
  norms = np.prod([np.linalg.norm(f, axis=0) for f in found], 0)
  largest = canonical.largest_component(tensor, found)
  np.testing.assert_allclose(largest, norms.max() / 3**0.5, rtol=1e-6)
  return np.square(DEGENERATE - sums).sum(), norms


def test_components_that_cancel_grow_and_a_ridge_stops_them():
  with jax.enable_x64(True):
    for sweeps, error, norm in (
      (10, 0.000856, 3.05),
      (100, 0.000529, 3.41),
      (1000, 0.000110, 4.96),
    ):
      got, norms = fitted(sweeps, 0.0)
      np.testing.assert_allclose(got, error, rtol=1e-2)
      np.testing.assert_allclose(norms, [norm, norm], rtol=1e-2)
    got, norms = fitted(1000, 0.01)
    np.testing.assert_allclose(got, 0.011060, rtol=1e-4)
    np.testing.assert_allclose(norms, [1.774578] * 2, rtol=1e-5)


def test_components_of_a_hundred_kernels_are_refused():
  a = jnp.ones((2, 1))
  both = [jnp.concatenate([a, a], 1)] * 2
  cancel = [*both, jnp.array([[101.0, -100.0]] * 2)]
  tensor = jnp.ones((2, 2, 2))
  np.testing.assert_allclose(canonical.largest_component(tensor, cancel), 101)
  with pytest.raises(ValueError, match='101 times the kernel.*larger ridge'):
    canonical.require_stable(tensor, cancel)
  canonical.require_stable(tensor, [*both, jnp.array([[99.0, -98.0]] * 2)])


def test_norms_are_even_and_any_magnitude_is_the_same():
  found = canonical_factors(jnp.float32(K), 2)
  norms = [np.linalg.norm(f.reshape(-1, 2), axis=0) for f in found[:3]]
  norms.append(np.linalg.norm(found[3][0, 0], axis=1))
  np.testing.assert_allclose(norms, [norms[0]] * 4, rtol=1e-4)
  scaled = canonical_factors(jnp.ldexp(jnp.float32(K), 60), 2)
  np.testing.assert_allclose(
    np.ldexp(product(*scaled), -60), product(*found), atol=1e-4
  )


def test_axes_of_size_one_have_no_layer():
  k = R(1).randn(1, 3, 4, 5)
  first, horizontal, last = canonical_factors(jnp.float32(k), 12)
  assert horizontal.shape == (1, 3, 1, 12)
  full = np.einsum(
    'ir,wr,ro->wio', first[0, 0], horizontal[0, :, 0], last[0, 0]
  )
  assert np.square(k[0] - full).sum() < 0.05 * np.square(k).sum()
  left, right = canonical_factors(jnp.float32(k[0, 0]), 2)
  tail = np.linalg.svd(k[0, 0], compute_uv=False)[2:]
  np.testing.assert_allclose(
    np.square(k[0, 0] - left @ right).sum(), np.square(tail).sum(), rtol=1e-3
  )


def test_zeros_and_empty_kernels_have_factors():
  *others, last = canonical_factors(jnp.zeros((3, 3, 4, 5)), 2)
  assert all(f.any() for f in others) and not last.any()
  empty = canonical_factors(jnp.zeros((0, 5)), 2)
  assert [f.shape for f in empty] == [(0, 2), (2, 5)]


def test_stacked_layers_are_factored_at_once():
  stack = jnp.float32(R(2).randn(2, 3, 3, 4, 5))
  many = jax.vmap(lambda k: canonical_factors(k, 2))(stack)
  for i, k in enumerate(stack):
    one = missed(np.asarray(k), canonical_factors(k, 2))
    np.testing.assert_allclose(
      missed(np.asarray(k), [f[i] for f in many]), one, rtol=1e-3
    )


def test_other_shapes_and_ranks_are_refused():
  with pytest.raises(ValueError, match='two axes or more'):
    canonical_factors(jnp.ones(3), 1)
  with pytest.raises(ValueError, match='rank 0'):
    canonical_factors(jnp.float32(K), 0)

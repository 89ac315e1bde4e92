import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.numerics import spectral

W = jnp.float32(np.random.RandomState(0).randn(4, 3))
PROX = jax.jit(spectral.nuclear)


def objective(w, z, threshold):
  w, z = np.asarray(w, np.float64), np.asarray(z, np.float64)
  norm = np.linalg.svd(z, compute_uv=False).sum()
  return ((w - z) ** 2).sum() / 2 + threshold * norm


@pytest.mark.parametrize(
  ('threshold', 'rank', 'least'),
  [(0.5, 3, 2.779356), (1.0, 2, 4.837459), (2.5, 1, 7.998411)],
)
def test_singular_values_lose_the_threshold(threshold, rank, least):
  z = PROX(W, threshold)
  values = np.linalg.svd(z, compute_uv=False)
  want = np.maximum(np.array([3.468526, 2.079965, 0.760221]) - threshold, 0)
  np.testing.assert_allclose(values, want, atol=1e-5)
  assert (want > 0).sum() == rank
  np.testing.assert_allclose(objective(W, z, threshold), least, rtol=1e-5)


@given(st.integers(0, 2**31), st.floats(0.01, 4))
def test_nothing_near_is_better(seed, threshold):
  rng = np.random.default_rng(seed)
  w = jnp.float32(rng.normal(size=(4, 3)))
  z = np.asarray(PROX(w, threshold))
  least = objective(w, z, threshold)
  for size in (1e-2, 1e-1, 1.0):
    other = z + size * rng.normal(size=z.shape)
    assert objective(w, other, threshold) > least - 1e-5


def test_halves_and_empty_matrices_keep_their_form():
  z = spectral.nuclear(W.astype(jnp.bfloat16), 1.0)
  assert z.dtype == jnp.bfloat16 and jnp.isfinite(z).all()
  assert spectral.nuclear(jnp.zeros((0, 3)), 1.0).shape == (0, 3)
  np.testing.assert_array_equal(PROX(jnp.zeros((4, 3)), 0.0), np.zeros((4, 3)))


@pytest.mark.parametrize('shape', [(4, 9), (9, 4)])
def test_leading_vectors_span_what_numpy_finds(shape):
  m = np.random.RandomState(1).randn(*shape)
  u = np.linalg.svd(m)[0][:, :3]
  got = np.asarray(spectral.leading(jnp.float32(m), 3))
  assert got.shape == (shape[0], 3)
  np.testing.assert_allclose(got @ got.T, u @ u.T, atol=1e-5)
  energy = np.square(got.T @ m).sum(1)
  assert (np.diff(energy) < 0).all()


def test_factors_share_the_singular_values_and_any_magnitude():
  for power in (-60, 0, 60):
    w = jnp.ldexp(W, power)
    left, right = spectral.balanced_factors(w, 2)
    a, b = jnp.linalg.norm(left, axis=0), jnp.linalg.norm(right, axis=1)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    low = spectral.balanced_factors(W, 2)
    np.testing.assert_array_equal(
      jnp.ldexp(left @ right, -power), low[0] @ low[1]
    )


def test_of_zeros_one_factor_is_not_zero():
  left, right = spectral.balanced_factors(jnp.zeros((4, 3)), 2)
  assert left.any() and not right.any()


def test_the_rank_that_keeps_an_energy_stays():
  cut = jax.jit(spectral.energetic, static_argnums=1)
  w = jnp.float32(np.random.RandomState(0).randn(6, 4))
  for energy, rank in ((0.5, 1), (0.9, 2), (0.95, 3), (0.99, 4), (1.0, 4)):
    for power in (-100, 0, 100):
      got = jnp.ldexp(cut(jnp.ldexp(w, power), energy), -power)
      values = np.linalg.svd(got, compute_uv=False)
      assert (values > 1e-4).sum() == rank
  assert spectral.energetic(jnp.zeros((0, 4)), 0.5).shape == (0, 4)
  assert not cut(jnp.zeros((6, 4)), 0.5).any()

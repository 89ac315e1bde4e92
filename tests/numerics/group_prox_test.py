import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.numerics import group_prox

RNG = np.random.default_rng(0)
SPARSE = jax.jit(group_prox.sparse_group_threshold, static_argnums=3)
GROUP = jax.jit(group_prox.group_soft_threshold, static_argnums=2)
G = jnp.array([3.0, 4.0])


@pytest.mark.parametrize(
  'threshold, expected',
  [(1.0, [2.4, 3.2]), (5.0, [0, 0]), (6.0, [0, 0]), (0.0, [3, 4])],
)
def test_group_threshold_of_known_numbers(threshold, expected):
  got = GROUP(G, threshold, None)
  np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_soft_threshold_is_exactly_zero_up_to_the_threshold():
  got = group_prox.soft_threshold(jnp.array([-2, -1, 0.5, 1, 1.5]), 1.0)
  assert got.tolist() == [-1, 0, 0, 0, 0.5]


@pytest.mark.parametrize('l1, threshold', [(0.0, 0.8), (0.3, 0.7), (0.6, 0.0)])
def test_it_minimizes_what_it_says(l1, threshold):
  """Convex, so that a point no neighbor of which is better is the minimum."""
  w = RNG.normal(size=(40, 3)) * RNG.choice([0.1, 1, 3], (40, 1))

  def objective(z):
    norms = np.sqrt((z**2).sum(-1))
    fit = ((z - w) ** 2).sum(-1) / 2
    return fit + l1 * np.abs(z).sum(-1) + threshold * norms

  z = np.asarray(SPARSE(jnp.float32(w), l1, threshold, (1,)), np.float64)
  least = objective(z)
  for size in (1, 0.1, 1e-2, 1e-3):
    for _ in range(200):
      away = size * RNG.normal(size=w.shape) * RNG.choice([0, 1], w.shape)
      assert (objective(z + away) >= least - 1e-6).all()
  assert (objective(np.zeros_like(z)) >= least - 1e-6).all()


def test_a_grid_finds_the_same_minimum():
  w = np.array([0.9, -0.4])
  axis = np.linspace(-1, 1, 2001)
  x, y = np.meshgrid(axis, axis, indexing='ij')
  values = ((x - w[0]) ** 2 + (y - w[1]) ** 2) / 2
  values += 0.1 * (abs(x) + abs(y)) + 0.3 * np.hypot(x, y)
  best = np.unravel_index(values.argmin(), values.shape)
  got = SPARSE(jnp.float32(w), 0.1, 0.3, None)
  np.testing.assert_allclose(got, [axis[best[0]], axis[best[1]]], atol=1e-3)


def test_entries_come_before_groups():
  w = jnp.array([1.0, 0.2])
  other = group_prox.soft_threshold(GROUP(w, 0.3, None), 0.15)
  got = SPARSE(w, 0.15, 0.3, None)
  assert np.abs(np.asarray(got) - np.asarray(other)).max() > 1e-3


def test_no_two_points_move_apart():
  x, y = (jnp.float32(RNG.normal(size=(50, 4))) for _ in range(2))
  far = np.linalg.norm(np.asarray(x) - np.asarray(y), axis=1)
  x, y = (np.asarray(GROUP(z, 0.9, (1,))) for z in (x, y))
  assert (np.linalg.norm(x - y, axis=1) <= far + 1e-6).all()


def test_groups_of_one_are_soft_thresholded():
  w = jnp.float32(RNG.normal(size=(5, 7)))
  np.testing.assert_allclose(
    group_prox.group_soft_threshold(w, 0.4, ()),
    group_prox.soft_threshold(w, 0.4),
    atol=1e-6,
  )


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_sums_do_not_overflow_in_half_precision(dtype):
  w = jnp.full((1000,), 300, dtype)  # squares are beyond float16
  got = group_prox.group_soft_threshold(w, 1.0)
  assert got.dtype == dtype and (got > 290).all()


def test_nan_stays_nan_and_zero_stays_zero():
  w = jnp.array([[jnp.nan, 1.0], [0.0, 0.0]])
  got = group_prox.group_soft_threshold(w, 0.0, (1,))
  assert jnp.isnan(got[0]).all() and got[1].tolist() == [0, 0]


def test_the_gradient_of_a_norm_is_zero_at_zero():
  norm = lambda x: group_prox.safe_sqrt(jnp.sum(jnp.square(x)))
  assert jax.grad(norm)(jnp.zeros(2)).tolist() == [0, 0]
  np.testing.assert_allclose(jax.grad(norm)(G), [0.6, 0.8], rtol=1e-6)

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.quantize import lloyd


def fit_to(x, h):
  """Homogeneous points need no mean taken off here."""
  points = jnp.concatenate([x, jnp.ones((len(x), 1))], 1)
  return lambda centers: lloyd.measure(
    x, h, centers, lloyd.nearest(points, centers)
  )


def test_what_follows_from_centers_by_hand():
  x = jnp.array([[0.0, 0], [0, 2], [9, 9]])
  fit = fit_to(x, jnp.array([1.0, 3, 2]))(jnp.array([[0.0, 1], [9, 8]]))
  np.testing.assert_array_equal(fit.codes, [0, 0, 1])
  np.testing.assert_array_equal(fit.errors, [1, 3, 2])
  np.testing.assert_array_equal(fit.shifts, [[0, 2], [0, 2]])
  np.testing.assert_array_equal(fit.mass, [4, 2])
  np.testing.assert_array_equal(fit.distortions, [4, 2])


def test_centers_move_to_the_means():
  x = jnp.array([[0.0], [1], [10], [14]])
  one = fit_to(x, jnp.ones(4))
  fit = lloyd.improve(x, one(jnp.array([[1.0], [2]])), one, 10)
  np.testing.assert_array_equal(fit.centers, [[0.5], [12]])
  assert fit.distortions.sum() == 0.5 + 8


def test_an_empty_cluster_takes_the_farthest_of_the_worst():
  x = jnp.array([[0.0], [1], [10], [14]])
  one = fit_to(x, jnp.ones(4))
  start = one(jnp.array([[0.5], [11], [99]]))
  assert start.mass[2] == 0
  fit = lloyd.improve(x, start, one, 0)  # goes on, since one is empty
  np.testing.assert_array_equal(fit.codes, [0, 0, 1, 2])
  np.testing.assert_array_equal(fit.centers[2], [14])


def test_codes_do_not_depend_on_the_tiles(monkeypatch):
  x = jax.random.normal(jax.random.key(0), (101, 3))
  points = jnp.concatenate([x, jnp.ones((101, 1))], 1)
  squares = np.square(np.asarray(x)[:, None] - np.asarray(x[:7])).sum(-1)
  whole = lloyd.nearest(points, x[:7])
  np.testing.assert_array_equal(whole, squares.argmin(1))
  for tile in (1, 70, 7 * 101):
    monkeypatch.setattr(lloyd, '_TILE', tile)
    np.testing.assert_array_equal(lloyd.nearest(points, x[:7]), whole)

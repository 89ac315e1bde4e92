import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.numerics import draws

KEY, OTHER = jax.random.split(jax.random.key(0))
SHAPE = (200, 300)


def test_each_bit_is_set_half_the_time_whatever_the_place():
  bits = np.asarray(draws.bits(KEY, SHAPE)).ravel()
  each = (bits[:, None] >> np.arange(32, dtype=np.uint32)) & 1
  error = 5 * 0.5 / np.sqrt(bits.size)
  np.testing.assert_allclose(each.mean(0), 0.5, atol=error)
  np.testing.assert_allclose(np.cov(each.T), np.eye(32) / 4, atol=error)
  assert len(np.unique(bits)) > bits.size - 10


def test_places_of_an_array_are_counted_row_by_row():
  flat = draws.bits(KEY, (24,))
  np.testing.assert_array_equal(draws.bits(KEY, (2, 3, 4)).ravel(), flat)


def test_uniform_lies_within_the_ends_and_fills_them_evenly():
  u = np.sort(np.asarray(draws.uniform(KEY, SHAPE)).ravel())
  assert 0 < u[0] and u[-1] < 1
  even = (np.arange(u.size) + 0.5) / u.size
  assert np.abs(u - even).max() < 1.63 / np.sqrt(u.size)  # Kolmogorov, 1 %
  ends = draws._unit(jnp.array([0, 2**32 - 1], jnp.uint32))
  np.testing.assert_array_equal(ends, np.float32([2**-24, 1 - 2**-24]))


def test_moments_of_what_is_nearly_normal():
  x = np.asarray(draws.nearly_normal(KEY, SHAPE), np.float64)
  moments = [np.mean(x**k) for k in (1, 2, 3, 4)]
  errors = 5 * np.array([1, 2, 15, 105]) ** 0.5 / np.sqrt(x.size)
  assert (np.abs(moments - np.array([0, 1, 0, 2.9375])) < errors).all()
  assert np.abs(x).max() <= 16 / np.sqrt(8)


def test_neighbours_and_keys_are_not_correlated():
  x = np.asarray(draws.nearly_normal(KEY, SHAPE), np.float64)
  other = np.asarray(draws.nearly_normal(OTHER, SHAPE), np.float64)
  for a, b in ((x[1:], x[:-1]), (x[:, 1:], x[:, :-1]), (x, other)):
    assert abs(np.mean(a * b)) < 5 / np.sqrt(a.size)


@pytest.mark.parametrize('shape', [(), (0, 4), (1, 1), (3, 0)])
def test_odd_shapes_have_draws(shape):
  for draw in (draws.bits, draws.uniform, draws.nearly_normal):
    assert draw(KEY, shape).shape == shape


def test_compiled_draws_are_the_same_bit_for_bit():
  for draw in (draws.uniform, draws.nearly_normal):
    compiled = jax.jit(draw, static_argnums=1)(KEY, (7, 5))
    np.testing.assert_array_equal(compiled, draw(KEY, (7, 5)))

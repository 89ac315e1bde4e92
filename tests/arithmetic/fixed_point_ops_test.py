import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.ops import fixed_point_op, fixed_point_round

X = jnp.array([0.3, -0.3, 1.126, -2.5, 3.9, 0.0625, 0.03125, -0.03125])
UP = np.array([0.8, 0.2, 0.016, 0, 0.4, 0, 0.5, 0.5])
EPS = 2.0**-4


def test_nearest_takes_the_lower_of_two_at_a_tie():
  want = [0.3125, -0.3125, 1.125, -2.5, 3.875, 0.0625, 0, -0.0625]
  np.testing.assert_array_equal(fixed_point_round(X, 3, 4), want)


def test_the_range_is_not_symmetric():
  got = fixed_point_round(jnp.array([5.0, -7.0, 3.96, 3e38]), 3, 4)
  np.testing.assert_array_equal(got, [3.9375, -4, 3.9375, 3.9375])


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 99))
def test_nearest_is_that_of_exact_arithmetic(integer_bits, fraction_bits, seed):
  rng = np.random.default_rng(seed)
  x = rng.standard_normal(50) * 4.0 ** rng.integers(-9, 9)
  x = x.astype(np.float32)
  eps = 2.0**-fraction_bits
  below = np.floor(x.astype(np.float64) / eps) * eps
  want = np.where(x - below <= eps / 2, below, below + eps)
  end = 2.0 ** (integer_bits - 1)
  got = fixed_point_round(jnp.asarray(x), integer_bits, fraction_bits)
  np.testing.assert_array_equal(got, np.clip(want, -end, end - eps))


def test_stochastic_rounding_is_right_in_the_mean():
  draws = 100_000
  many = jnp.broadcast_to(X, (draws, X.size))
  got = np.asarray(fixed_point_round(many, 3, 4, key=jax.random.key(0)))
  below = np.floor(np.asarray(X) / EPS) * EPS
  assert ((got == below) | (got == below + EPS)).all()
  error = EPS * np.sqrt(UP * (1 - UP) / draws)
  assert (abs(got.mean(0) - X) <= 5 * error + 1e-7).all()
  np.testing.assert_allclose((got > below).mean(0), UP, atol=0.01)


def test_a_key_gives_one_draw_and_another_key_another():
  x = jnp.full(100, 0.03)
  draw = lambda seed: fixed_point_round(x, 3, 4, key=jax.random.key(seed))
  np.testing.assert_array_equal(draw(0), draw(0))
  assert (draw(0) != draw(1)).any()


def test_the_gradient_passes_within_the_range_and_infinities_become_nan():
  x = jnp.array([-4.01, -4, 0.03, 3.9375, 3.94])
  grad = jax.grad(lambda x: fixed_point_round(x, 3, 4).sum())(x)
  np.testing.assert_array_equal(grad, [0, 1, 1, 1, 0])
  assert jnp.isnan(fixed_point_round(jnp.float32(jnp.inf), 3, 4))


def test_a_dot_product_is_converted_once():
  a = jnp.array([0.3125, 0.4375, -0.125])
  b = jnp.array([0.4375, -0.3125, 0.5625])
  assert a @ b == -0.0703125
  assert fixed_point_op(jnp.dot, 3, 4)(a, b) == -0.0625
  small = jnp.full(4, 0.125)
  assert fixed_point_op(jnp.dot, 3, 4)(small, small) == 0.0625
  assert fixed_point_round(small * small, 3, 4).sum() == 0


def test_an_op_converts_its_output_and_each_gradient():
  x = jax.random.normal(jax.random.key(0), (7, 5))
  w = jax.random.normal(jax.random.key(1), (5, 3))
  b = jnp.array([0.3, -0.1, 4.0])
  dense = lambda x, w, b: x @ w + b
  error = jax.random.normal(jax.random.key(2), (7, 3))
  y, pull = jax.vjp(fixed_point_op(dense, 3, 4), x, w, b)
  want, plain = jax.vjp(dense, x, w, b)
  np.testing.assert_array_equal(y, fixed_point_round(want, 3, 4))
  inside = (want >= -4) & (want <= 3.9375)
  assert not inside.all()
  grads = plain(jnp.where(inside, error, 0))
  for got, grad in zip(pull(error), grads, strict=True):
    np.testing.assert_array_equal(got, fixed_point_round(grad, 3, 4))


def test_an_op_takes_integers_and_works_under_jit_and_vmap():
  take = lambda table, i: table[i]
  table, i = jnp.array([0.3, 1.1]), jnp.array([1, 1, 0])
  key = jax.random.key(0)

  def loss(table, key):
    return fixed_point_op(take, 4, 1, key=key)(table, i).sum()

  grad = jax.jit(jax.grad(loss))(table, key)
  np.testing.assert_array_equal(grad, [1, 2])
  grads = jax.vmap(jax.grad(loss), (None, 0))(table, jax.random.split(key, 3))
  np.testing.assert_array_equal(grads, np.tile([1.0, 2.0], (3, 1)))


def test_output_and_gradients_draw_from_keys_of_their_own():
  half = jnp.full(200, EPS / 2)
  op = fixed_point_op(lambda a, b: a + b, 3, 4, key=jax.random.key(0))
  y, pull = jax.vjp(op, half, jnp.zeros(200))
  da, db = pull(half)
  for one, other in ((y, da), (y, db), (da, db)):
    assert 0.2 < (one == other).mean() < 0.8


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((0, 4), 'integer_bits=0'),
    ((4, -1), 'fraction_bits=-1'),
    ((12, 13), 'words of 25 bits'),
  ],
)
def test_bad_formats_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    fixed_point_round(X, *arguments)
  with pytest.raises(ValueError, match=message):
    fixed_point_op(jnp.dot, *arguments)


def test_a_grid_that_the_dtype_does_not_hold_is_refused():
  with pytest.raises(ValueError, match='bfloat16.*at most 9 bits'):
    fixed_point_round(X.astype(jnp.bfloat16), 4, 6)

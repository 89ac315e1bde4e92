import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.binarize.few_multiplications import (
  power_of_two,
  quantized_backprop,
)

BOUND = np.sqrt(6 / 7) / 2  # of a kernel [6, 1]
X = jnp.array([[0.3, -0.6, 1.2, 0.0, -0.05, -1.0]]).T


def draws(comp, w, count):
  latent, state = comp.init(w)

  def body(state, _):
    view = comp.view(latent, state)
    return comp.update(latent, state, latent)[1], view

  return np.asarray(jax.lax.scan(body, state, None, count)[1])


@pytest.mark.parametrize('weights', ['ternary', 'binary'])
def test_drawn_weights_have_the_mean_of_the_real_ones(weights):
  many = draws(jc.few_multiplications(weights), BOUND * X, 20_000) / BOUND
  letters = [-1, 0, 1] if weights == 'ternary' else [-1, 1]
  np.testing.assert_allclose(np.unique(many), letters, rtol=1e-6)
  mean = np.clip(X, -1, 1)
  error = 5 * many.std(0) / np.sqrt(len(many)) + 1e-6
  assert (np.abs(many.mean(0) - mean) <= error).all()
  if weights == 'ternary':
    share = np.array([[0.3, 0.6, 1, 0, 0.05, 1]]).T
    error = 5 * np.sqrt(share * (1 - share) / len(many))
    assert (np.abs((many != 0).mean(0) - share) <= error).all()


@pytest.mark.parametrize('weights', ['ternary', 'binary'])
def test_gradients_pass_unchanged_and_weights_are_clipped(weights):
  comp = jc.few_multiplications(weights)
  latent, state = comp.init(X + 0.001)
  np.testing.assert_allclose(
    latent, np.clip(X + 0.001, -BOUND, BOUND), rtol=1e-6
  )
  grad = jax.grad(lambda l: jnp.vdot(comp.view(l, state), X))(latent)
  np.testing.assert_array_equal(grad, X)
  latent, _ = comp.update(latent + 2, state, X)
  np.testing.assert_allclose(latent, BOUND, rtol=1e-6)


def test_bound_of_a_convolution_counts_its_window():
  comp = jc.few_multiplications('binary')
  w = jnp.ones((3, 3, 2, 4))
  view = comp.view(*comp.init(w))
  np.testing.assert_allclose(
    jnp.abs(view), np.sqrt(6 / (18 + 36)) / 2, rtol=1e-6
  )


def test_ships_real_weights_or_the_nearest_codes():
  w = BOUND * X
  real = jc.few_multiplications()
  np.testing.assert_array_equal(
    jc.decode(real.encode(*real.init(w))), real.init(w)[0]
  )
  ternary = jc.few_multiplications(ships='codes')
  np.testing.assert_allclose(
    jc.decode(ternary.encode(*ternary.init(w))),
    BOUND * np.array([[0, -1, 1, 0, 0, -1]]).T,
    rtol=1e-6,
  )
  binary = jc.few_multiplications('binary', ships='codes')
  np.testing.assert_allclose(
    jc.decode(binary.encode(*binary.init(w))),
    BOUND * np.array([[1, -1, 1, 1, -1, -1]]).T,
    rtol=1e-6,
  )


def test_powers_around_known_numbers():
  x = jnp.array([0.3, 5.0, 0.75, 1.0, -0.3, 0.0])
  keys = jax.random.split(jax.random.key(0), 20_000)
  many = np.asarray(jax.vmap(lambda k: power_of_two(k, x))(keys))
  pairs = [(0.25, 0.5), (4, 8), (0.5, 1), (1,), (-0.5, -0.25), (0,)]
  for column, pair in zip(many.T, pairs, strict=True):
    np.testing.assert_array_equal(np.unique(column), pair)
  share = (np.abs(many) > np.abs(x)).mean(0)
  want = np.array([0.2, 0.25, 0.5, 0, 0.2, 0])
  error = 5 * np.sqrt(want * (1 - want) / len(keys))
  assert (np.abs(share - want) <= error).all()


def test_every_power_of_two_is_kept():
  x = jnp.float32(2.0 ** np.arange(-126, 128))
  np.testing.assert_array_equal(power_of_two(jax.random.key(0), x), x)


def test_exponents_are_clipped():
  x = jnp.array([0.01, -0.01, 100.0, 9.0, 0.0, 0.06])
  got = power_of_two(jax.random.key(0), x, low=-4, high=3)
  np.testing.assert_array_equal(got, [0.0625, -0.0625, 8, 8, 0, 0.0625])


def test_weight_gradient_sees_powers_of_two_and_is_right_in_the_mean():
  keys = jax.random.split(jax.random.key(0), 4)
  x, w = jax.random.normal(keys[0], (5, 4)), jax.random.normal(keys[1], (4, 3))
  g = jax.random.normal(keys[2], (5, 3))
  op = quantized_backprop(jnp.matmul)
  y, pull = jax.vjp(lambda x, w: op(x, w, keys[3]), x, w)
  to_x, to_w = pull(g)
  np.testing.assert_array_equal(y, x @ w)
  np.testing.assert_allclose(to_x, g @ w.T, rtol=1e-5)
  np.testing.assert_allclose(to_w, power_of_two(keys[3], x).T @ g, rtol=1e-5)

  def one(key):
    return jax.grad(lambda w: jnp.vdot(op(x, w, key), g))(w)

  many = np.asarray(jax.vmap(one)(jax.random.split(keys[3], 5000)))
  error = 5 * many.std(0) / np.sqrt(len(many))
  assert (np.abs(many.mean(0) - x.T @ g) <= error).all()


def test_convolutions_are_quantized_the_same_way():
  def conv(x, w):
    return jax.lax.conv_general_dilated(
      x, w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  x = jax.random.normal(jax.random.key(0), (2, 5, 5, 3))
  w = jax.random.normal(jax.random.key(1), (3, 3, 3, 2))
  key = jax.random.key(2)
  op = quantized_backprop(conv, low=-4, high=3)
  grad = jax.grad(lambda w: op(x, w, key).sum())(w)
  rounded = power_of_two(key, x, low=-4, high=3)
  want = jax.grad(lambda w: conv(rounded, w).sum())(w)
  np.testing.assert_allclose(grad, want, rtol=1e-5)
  # Forward and backward to the input nothing is rounded.
  to_x = jax.grad(lambda x: op(x, w, key).sum())(x)
  np.testing.assert_allclose(
    to_x, jax.grad(lambda x: conv(x, w).sum())(x), rtol=1e-5
  )


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match="weights is 'quaternary'"):
    jc.few_multiplications('quaternary')
  with pytest.raises(ValueError, match="ships is 'signs'"):
    jc.few_multiplications(ships='signs')
  with pytest.raises(ValueError, match=r'shape \[3\] has no fan-in'):
    jc.few_multiplications().init(jnp.ones(3))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('high', [None, 200])
def test_the_largest_numbers_stay_finite(dtype, high):
  largest = jnp.finfo(dtype).max
  x = jnp.full(64, largest, dtype) * jnp.asarray([1, -1] * 32, dtype)
  got = power_of_two(jax.random.key(0), x, high=high)
  top = 2.0 ** (jnp.finfo(dtype).maxexp - 1)
  np.testing.assert_array_equal(np.asarray(got, float), [top, -top] * 32)

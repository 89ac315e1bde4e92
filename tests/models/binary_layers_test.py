import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.binarize.binarized import ap2
from jcompress.binarize.half_wave import hwgq
from jcompress.models.binary_layers import (
  BinaryConv,
  BinaryDense,
  ShiftBatchNorm,
)

X = jnp.array([[0.5, -2.0, 0.0], [1.5, -0.25, -1.0]])
W = jnp.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def dense(activation, x=X, train=False, **options):
  model = BinaryDense(2, activation=activation, **options)
  return model.apply(
    {'params': {'kernel': W}}, x, train, rngs={'binarize': jax.random.key(0)}
  )


def test_the_input_is_binarized_and_the_kernel_is_not():
  np.testing.assert_array_equal(dense('sign'), [[-1, -1], [1, -3]])
  np.testing.assert_array_equal(dense('none'), X @ W)
  np.testing.assert_array_equal(dense('relu'), jnp.maximum(X, 0) @ W)
  np.testing.assert_array_equal(dense('hwgq'), hwgq(X) @ W)
  np.testing.assert_array_equal(dense(jnp.abs), jnp.abs(X) @ W)


def test_scaled_signs_have_the_mean_magnitude_of_their_row():
  scale = np.array([[2.5], [2.75]]) / 3
  np.testing.assert_allclose(
    dense('scaled_sign'), scale * [[-1, -1], [1, -3]], rtol=1e-6
  )


def test_the_gradient_of_a_sign_stops_beyond_one():
  grad = jax.grad(lambda x: dense('sign', x)[:, 0].sum())(X)
  np.testing.assert_array_equal(grad, [[1, 0, -1], [0, 1, -1]])


def test_signs_are_drawn_in_training_alone():
  x = jnp.tile(jnp.array([[0.5, -0.5, 0.0]]), (1000, 1))
  np.testing.assert_array_equal(dense('stochastic_sign', x), dense('sign', x))
  drawn = dense('stochastic_sign', x, train=True)
  np.testing.assert_allclose(drawn.mean(0), x[0] @ W, atol=0.2)
  assert len(np.unique(drawn[:, 0])) == 4


def test_shifts_change_the_gradient_of_the_kernel_alone():
  model = BinaryDense(2, activation='none', shifts=True)
  x = jnp.tile(jnp.array([[0.75, 4.0, -0.1]]), (4096, 1))

  def loss(w, x, train):
    rngs = {'binarize': jax.random.key(1)}
    return model.apply({'params': {'kernel': w}}, x, train, rngs=rngs).mean()

  grad = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=2)
  (value, (w_grad, x_grad)), (plain, exact) = (
    grad(W, x, t) for t in (True, False)
  )
  assert value == plain
  np.testing.assert_array_equal(x_grad, exact[1])
  assert w_grad[1, 0] == exact[0][1, 0]  # 4 is a power of two
  assert w_grad[0, 0] != exact[0][0, 0]
  np.testing.assert_allclose(w_grad, exact[0], rtol=0.05)


# Two channels of Rastegari et al.'s convolution, worked by hand.
IMAGE = jnp.stack(
  [
    jnp.array([[1, -2, 3], [0.5, -1, 2], [-0.5, 1, -1.5]]),
    jnp.array([[-1, 2, 1], [1.5, 0, -2], [0.5, -1, 0.5]]),
  ],
  -1,
)[None]
KERNEL = jnp.stack(
  [
    jnp.array([[0.5, -0.25], [1, -0.75]]),
    jnp.array([[-0.5, 0.25], [0.75, 1]]),
  ],
  -1,
)[..., None]


def test_a_convolution_with_input_scales_by_hand():
  model = BinaryConv(1, (2, 2), padding='VALID', activation='scaled_sign')
  kernel = 0.625 * jnp.where(KERNEL >= 0, 1.0, -1.0)
  out = model.apply({'params': {'kernel': kernel}}, IMAGE)
  np.testing.assert_allclose(
    out[0, :, :, 0], [[5.625, -4.0625], [0, -1.40625]], rtol=1e-6
  )


def test_padding_is_zero_and_not_a_sign():
  model = BinaryConv(1, (3, 3), activation='sign')
  ones = jnp.ones((3, 3, 2, 1))
  out = model.apply({'params': {'kernel': ones}}, jnp.ones((1, 3, 3, 2)))
  np.testing.assert_array_equal(
    out[0, :, :, 0], [[8, 12, 8], [12, 18, 12], [8, 12, 8]]
  )


@pytest.mark.parametrize('activation', ['sign', 'scaled_sign'])
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
def test_a_dilated_kernel_is_one_with_zeros_between(activation, padding):
  """A mean over the window does not count the gaps."""
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  kernel = jax.random.normal(jax.random.key(1), (2, 2, 3, 4))
  wide = jnp.zeros((3, 4, 3, 4)).at[::2, ::3].set(kernel)
  make = functools.partial(BinaryConv, 4, padding=padding)
  run = lambda model, w: model.apply({'params': {'kernel': w}}, x)
  got = run(make((2, 2), activation=activation, dilation=(2, 3)), kernel)
  want = run(make((3, 4), activation='sign'), wide)
  if activation == 'scaled_sign':
    gaps = jnp.zeros((3, 4, 1, 1)).at[::2, ::3].set(0.25)
    size = make((3, 4), activation='none').clone(features=1)
    mean = jnp.mean(jnp.abs(x), -1, keepdims=True)
    want *= size.apply({'params': {'kernel': gaps}}, mean)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_compute_dtype_and_bias():
  model = BinaryConv(5, (2, 2), strides=(2, 2), use_bias=True, dtype='bfloat16')
  variables = model.init(jax.random.key(0), IMAGE)
  shapes = jax.tree.map(lambda x: (x.shape, x.dtype.name), variables['params'])
  assert shapes == {
    'kernel': ((2, 2, 2, 5), 'float32'),
    'bias': ((5,), 'float32'),
  }
  variables['params']['bias'] += 1
  variables['params']['kernel'] *= 0
  out = model.apply(variables, IMAGE)
  assert out.dtype == jnp.bfloat16
  np.testing.assert_array_equal(out, jnp.ones((1, 2, 2, 5)))


def test_shift_batch_norm_keeps_running_statistics():
  x = jnp.array([[1.0], [3.0], [-2.0], [0.5]])
  model = ShiftBatchNorm()
  variables = model.init(jax.random.key(0), x)
  start = jax.tree.map(np.asarray, variables['batch_stats'])
  assert start == {'mean': [0], 'inverse_std': [1]}
  y, new = model.apply(variables, x, True, mutable=['batch_stats'])
  np.testing.assert_allclose(y[:, 0], [0.1875, 1.1875, -1.3125, -0.0625])
  stats = new['batch_stats']
  inverse = (2.55078125 + 1e-5) ** -0.5
  np.testing.assert_allclose(stats['mean'], 0.125 * 0.625)
  np.testing.assert_allclose(
    stats['inverse_std'], 0.875 + 0.125 * inverse, rtol=1e-6
  )
  y = model.apply(variables | new, x)
  want = (x - stats['mean']) * ap2(stats['inverse_std'])
  np.testing.assert_allclose(y, want, rtol=1e-6)


def test_an_activation_that_there_is_not_is_refused():
  with pytest.raises(ValueError, match="'tanh'; it must be one of"):
    dense('tanh')

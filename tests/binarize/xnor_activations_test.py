import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.binarize.xnor_activations import xnor_activation, xnor_gradient
from jcompress.numerics.estimators import sign

X = jnp.array([-3.0, -1.0, -0.5, 0.0, 0.2, 0.9, 1.0, 2.0])


def value_and_slope(function, x):
  return jax.jit(jax.vmap(jax.value_and_grad(function)))(x)


def test_two_bits_by_hand():
  y, slope = value_and_slope(lambda x: xnor_activation(x, 2), X)
  third = 1 / 3
  np.testing.assert_allclose(
    y, [-1, -1, -third, third, third, 1, 1, 1], rtol=1e-6
  )
  np.testing.assert_array_equal(slope, [0, 1, 1, 1, 1, 1, 1, 0])


def test_one_bit_is_the_sign():
  one_bit = value_and_slope(lambda x: xnor_activation(x, 1), X)
  for got, want in zip(one_bit, value_and_slope(sign, X), strict=True):
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_many_bits_are_within_half_a_step(dtype):
  x = jnp.linspace(-1, 1, 101).astype(dtype)
  y = xnor_activation(x, 5)
  assert y.dtype == dtype and len(np.unique(y)) == 32
  tolerance = 1 / 31 + float(jnp.finfo(dtype).eps)
  assert jnp.max(jnp.abs(y - x).astype(jnp.float32)) <= tolerance


def test_gradients_get_the_largest_magnitude_of_their_example():
  g = jnp.array([[0.5, -0.25, 0.0], [0.0, 0.0, 0.0], [-3.0, 1.0, 2.0]])
  x = jnp.ones((3, 3))
  y, pull_back = jax.vjp(xnor_gradient, x)
  np.testing.assert_array_equal(y, x)
  np.testing.assert_array_equal(
    pull_back(g)[0], [[0.5, -0.5, 0], [0, 0, 0], [-3, 3, 3]]
  )


@pytest.mark.parametrize('bits', [0, 17])
def test_bits_out_of_range_are_refused(bits):
  with pytest.raises(ValueError, match=f'bits is {bits}; it must lie'):
    xnor_activation(X, bits)

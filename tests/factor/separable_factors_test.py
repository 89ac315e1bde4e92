import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor.separable import separable_factors

K = np.random.RandomState(0).randn(3, 3, 4, 5)
X = np.random.RandomState(1).randn(1, 7, 7, 4)


def product(vertical, horizontal):
  return np.einsum(
    'hxir,ywro->hwio', np.float64(vertical), np.float64(horizontal)
  )


def conv(x, k, strides=(1, 1), padding='VALID'):
  return jax.lax.conv_general_dilated(
    jnp.float32(x),
    jnp.float32(k),
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


@pytest.mark.parametrize(
  ('rank', 'error', 'params'),
  [
    (1, 135.825229, 27),
    (2, 93.916357, 54),
    (4, 44.722838, 108),
    (8, 10.144938, 216),
    (12, 0, 324),
  ],
)
def test_the_error_is_the_tail_of_the_spectrum(rank, error, params):
  factors = separable_factors(jnp.float32(K), rank)
  missed = np.square(K - product(*factors)).sum()
  np.testing.assert_allclose(missed, error, rtol=1e-5, atol=1e-9)
  assert sum(f.size for f in factors) == params


def test_two_convolutions_are_that_of_the_product():
  vertical, horizontal = separable_factors(jnp.float32(K), 2)
  assert vertical.shape == (3, 1, 4, 2) and horizontal.shape == (1, 3, 2, 5)
  small = conv(conv(X, vertical), horizontal)
  np.testing.assert_allclose(small.sum(), 30.746580, rtol=1e-5)
  full = conv(X, product(vertical, horizontal))
  np.testing.assert_allclose(small, full, atol=1e-4)


def test_kernels_that_are_not_square_and_strides_of_each_axis():
  k = np.random.RandomState(2).randn(2, 5, 4, 3)
  vertical, horizontal = separable_factors(jnp.float32(k), 8)
  np.testing.assert_allclose(product(vertical, horizontal), k, atol=1e-5)
  x = np.random.RandomState(3).randn(2, 8, 9, 4)
  small = conv(conv(x, vertical, (2, 1)), horizontal, (1, 3))
  np.testing.assert_allclose(small, conv(x, k, (2, 3)), atol=1e-4)


def test_other_shapes_and_ranks_are_refused():
  with pytest.raises(ValueError, match=r'height, width, in, out'):
    separable_factors(jnp.ones((4, 5)), 1)
  for rank in (0, 13):
    with pytest.raises(ValueError, match=r'folded to \(12, 15\), .* 1 .. 12'):
      separable_factors(jnp.float32(K), rank)

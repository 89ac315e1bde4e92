import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import equations
from leaves import random_product

from jcompress.encoded import Product


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize(('stages', 'length'), [(1, 4), (2, 3), (1, 50)])
def test_matmul_is_that_with_the_decoded_weight(axis, stages, length):
  leaf = random_product((13, 9), axis, stages=stages, length=length)
  x = jax.random.normal(jax.random.key(0), (2, 4, 13))
  product = jax.jit(lambda leaf, x: leaf.matmul(x))
  got = product(leaf, x)
  np.testing.assert_allclose(got, x @ leaf.decode(), rtol=1e-5, atol=1e-5)
  one = product(leaf, x[0, 0])
  np.testing.assert_allclose(one, got[0, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('axis', [0, 1])
def test_matmul_forms_nothing_of_the_size_of_inputs_by_weight(axis):
  leaf = random_product((256, 512), axis, k=16, length=4)
  x = jnp.ones((64, 256))
  jaxpr = jax.make_jaxpr(lambda leaf, x: leaf.matmul(x))(leaf, x)
  sizes = [v.aval.size for e in equations(jaxpr.jaxpr) for v in e.outvars]
  assert max(sizes) <= 64 * 512  # of the result, or of the codes


@pytest.mark.parametrize(
  ('strides', 'padding', 'groups', 'stages', 'length'),
  [
    ((1, 1), 'VALID', 1, 1, 2),
    ((1, 1), 'SAME', 2, 2, 3),
    ((2, 3), 'SAME', 1, 1, 5),
    ((2, 1), 'VALID', 4, 2, 7),
    ((1, 2), ((0, 2), (3, 1)), 2, 1, 1),
  ],
)
def test_conv_is_that_with_the_decoded_kernel(
  strides, padding, groups, stages, length
):
  leaf = random_product((3, 2, 5, 4), 2, stages=stages, length=length)
  x = jax.random.normal(jax.random.key(0), (2, 7, 6, 5 * groups))

  @jax.jit
  def both(leaf, x):
    want = jax.lax.conv_general_dilated(
      x,
      leaf.decode(),
      strides,
      padding,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      feature_group_count=groups,
    )
    return leaf.conv(x, strides, padding, groups), want

  got, want = both(leaf, x)
  assert got.shape == want.shape
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_a_kernel_larger_than_its_input_gives_nothing():
  leaf = random_product((3, 3, 2, 4), 2)
  assert leaf.conv(jnp.ones((1, 2, 5, 2))).shape == (1, 0, 3, 4)


def test_products_of_half_precision_are_summed_in_float32():
  leaf = random_product((600, 3), 0, length=1, k=1, dtype=jnp.bfloat16)
  leaf = Product(jnp.ones_like(leaf.centers), leaf.codes, 0, leaf.shape)
  got = leaf.matmul(jnp.ones((1, 600), jnp.bfloat16))
  # A sum in bfloat16 would stop at 256.
  assert got.dtype == jnp.bfloat16
  np.testing.assert_allclose(got.astype(jnp.float32), 600, rtol=0.01)

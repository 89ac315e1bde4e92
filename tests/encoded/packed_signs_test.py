import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.encoded import Signs


def random_leaf(shape, scale=0.5, dtype=jnp.float32):
  signs = jax.random.bernoulli(jax.random.key(0), 0.5, shape)
  return Signs(signs, jnp.asarray(scale, dtype))


def sign(x):
  return jnp.where(x >= 0, 1, -1).astype(x.dtype)


@pytest.mark.parametrize(
  'scale', [0.5, [[0.5]], [0.5, 2.0, 1.0], [[0.5, 2.0, 1.0]]]
)
def test_matmul_is_that_of_signs_with_the_decoded_weight(scale):
  leaf = random_leaf((37, 3), scale)
  x = jax.random.normal(jax.random.key(1), (2, 4, 37))
  got = jax.jit(lambda leaf, x: leaf.matmul(x))(leaf, x)
  np.testing.assert_array_equal(got, sign(x) @ leaf.decode())
  np.testing.assert_array_equal(leaf.packed().matmul(x >= 0), got)


@pytest.mark.parametrize(
  ('strides', 'padding', 'groups', 'scale'),
  [
    ((1, 1), 'SAME', 1, 0.25),
    ((2, 1), ((0, 2), (1, 1)), 2, np.array([0.5, 1, 2, 4]).reshape(1, 1, 1, 4)),
  ],
)
def test_conv_is_that_of_signs_with_the_decoded_kernel(
  strides, padding, groups, scale
):
  leaf = random_leaf((3, 2, 5, 4), scale)
  x = jax.random.normal(jax.random.key(1), (2, 5, 6, 5 * groups))
  want = jax.lax.conv_general_dilated(
    sign(x),
    leaf.decode(),
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=groups,
  )
  got = leaf.conv(x, strides, padding, groups)
  np.testing.assert_array_equal(got, want)


def test_the_weight_stays_packed():
  packed = random_leaf((64, 8)).packed()
  assert packed.words.shape == (2, 8) and packed.words.dtype == jnp.uint32
  run = lambda packed, x: packed.matmul(x)
  text = str(jax.make_jaxpr(run)(packed, jnp.ones((1, 64))))
  assert '[64,8]' not in text


def test_half_precision():
  leaf = random_leaf((300, 2), 1.0, jnp.bfloat16)
  leaf = Signs(jnp.ones_like(leaf.signs), leaf.scale)
  got = leaf.matmul(jnp.ones((1, 300), jnp.bfloat16))
  assert got.dtype == jnp.bfloat16 and (got == 300).all()


def test_bad_products_are_refused():
  matrix, kernel = random_leaf((5, 4)), random_leaf((3, 3, 4, 4))
  with pytest.raises(ValueError, match='wants a matrix'):
    kernel.matmul(jnp.ones((1, 4)))
  with pytest.raises(ValueError, match='last axis must be 5'):
    matrix.matmul(jnp.ones((5, 4)))
  with pytest.raises(ValueError, match='wants a kernel'):
    matrix.conv(jnp.ones((1, 4, 4, 5)))
  with pytest.raises(ValueError, match='does not fit: wanted'):
    kernel.conv(jnp.ones((1, 4, 4, 3)))
  with pytest.raises(ValueError, match='varies along what is summed over'):
    random_leaf((5, 4), np.ones((5, 1))).matmul(jnp.ones((1, 5)))
  with pytest.raises(ValueError, match='multiply by decode'):
    random_leaf((5,)).packed()

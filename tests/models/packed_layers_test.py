import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.binarize.folding import FoldedThreshold
from jcompress.encoded.packed_signs import packed_signs
from jcompress.models.packed_layers import Affine, PackedLayer

SIGNS = jnp.array([[1, 0], [1, 1], [0, 1]], bool)  # of +1
IDENTITY = Affine(jnp.float32(1), jnp.float32(0))


def layer(weight, norm=IDENTITY, **settings):
  plain = {
    'pool': False,
    'padding': 'SAME',
    'pixels': None,
    'scaled': False,
    'relu': False,
  }
  return PackedLayer(weight, norm, **(plain | settings))


def packed(signs):
  return packed_signs(signs, jnp.ones(()))


def test_a_layer_of_signs_decides_by_its_threshold():
  norm = FoldedThreshold(jnp.array([1, 1]), jnp.array([1, -1]))
  x = jnp.array([[0.5, -2.0, 0.0], [1.5, 0.25, -1.0]])
  sums = layer(packed(SIGNS))(x)
  np.testing.assert_array_equal(sums, [[-1, -1], [3, -1]])
  up = layer(packed(SIGNS), norm)(x)
  np.testing.assert_array_equal(up, [[False, True], [True, True]])


@pytest.mark.parametrize(
  ('pixels', 'want'), [('unit', [[207, -193]]), ('symmetric', [[159, -641]])]
)
def test_bytes_are_multiplied_bit_by_bit(pixels, want):
  x = jnp.array([[200, 7, 0]], jnp.uint8)
  got = layer(packed(SIGNS), pixels=pixels)(x)
  np.testing.assert_array_equal(got, want)


def test_scaled_sums_have_the_mean_magnitude_of_their_inputs():
  x = jnp.array([[0.5, -2.0, 0.0]])
  got = layer(packed(SIGNS), scaled=True)(x)
  np.testing.assert_allclose(got, [[-2.5 / 3, -2.5 / 3]])


def test_a_float_layer_rectifies_and_its_norm_comes_last():
  norm = Affine(jnp.array([2.0, 1.0]), jnp.array([0.0, -3.0]))
  got = layer(jnp.ones((3, 2)), norm, relu=True)(jnp.array([[1.0, -5.0, 2.0]]))
  np.testing.assert_array_equal(got, [[6, 0]])


def test_sums_are_pooled_and_padding_adds_nothing():
  kernel = packed(jnp.ones((3, 3, 1, 1), bool))
  x = jnp.ones((1, 4, 4, 1))
  sums = layer(kernel)(x)
  np.testing.assert_array_equal(sums[0, 0, :, 0], [4, 6, 6, 4])
  pooled = layer(kernel, pool=True)(x)
  np.testing.assert_array_equal(pooled[0, :, :, 0], [[9, 9], [9, 9]])

import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.encoded import Blocks
from jcompress.encoded.blocks import power_of_two

CODES = jnp.array([[0, 3], [1, 2], [3, 3]], jnp.uint8)
CENTERS = jnp.array([-2.0, -0.5, 0.0, 1.5])


def test_a_scale_for_each_block():
  scale = jnp.array([[1.0, 2.0], [4.0, 8.0]])
  leaf = Blocks(CODES, scale, CENTERS, tile=(0, 2))
  np.testing.assert_array_equal(leaf.decode(), [[-2, 3], [-0.5, 0], [6, 12]])
  counts = np.array([1, 1, 1, 3])
  entropy = -(counts * np.log2(counts / 6)).sum()
  assert leaf.bits() == pytest.approx(4 * 32 + 4 * 32 + entropy)


def test_whole_scales_are_exponents():
  leaf = Blocks(CODES, jnp.array([[-1, 3]], jnp.int8), CENTERS)
  want = [[-1, 12], [-0.25, 0], [0.75, 12]]
  np.testing.assert_array_equal(leaf.decode(), want)
  assert leaf.bits() < 2 * 8 + 4 * 32 + 12


def test_narrow_parts_are_multiplied_in_float32():
  third = jnp.array(1 / 3, jnp.bfloat16)
  centers = jnp.array([0.7, 1.1], jnp.bfloat16)
  leaf = Blocks(jnp.array([0, 1], jnp.uint8), third, centers)
  want = np.float32(third) * np.asarray(centers, np.float32)
  np.testing.assert_array_equal(leaf.decode(), want)
  leaf = Blocks(leaf.codes, third, centers, dtype=jnp.dtype(jnp.bfloat16))
  np.testing.assert_array_equal(leaf.decode(), want.astype(jnp.bfloat16))


def test_powers_of_two_are_exact():
  exponents = np.arange(-128, 128)
  want = np.ldexp(np.float32(1), np.maximum(exponents, -126))
  got = power_of_two(jnp.asarray(exponents, jnp.int8))
  np.testing.assert_array_equal(got, want)


def test_survives_the_file():
  leaf = Blocks(CODES, jnp.array([[-1, 3]], jnp.int8), CENTERS)
  back = jc.unpack(jc.pack({'w': leaf})).tree['w']
  assert isinstance(back, Blocks)
  np.testing.assert_array_equal(back.decode(), leaf.decode())


@pytest.mark.parametrize(
  ('scale', 'centers', 'message'),
  [
    (jnp.ones((3, 2)), jnp.ones((2, 2)), r'centers are \[2, 2\], no list'),
    (jnp.ones((3, 2)), jnp.ones(0), r'centers are \[0\]'),
    (jnp.ones(3), CENTERS, 'does not fit'),
  ],
)
def test_parts_that_do_not_fit_are_refused(scale, centers, message):
  with pytest.raises(ValueError, match=message):
    Blocks(CODES, scale, centers).decode()


def test_the_largest_half_precision_weight_stays_finite():
  w = jnp.array([[1.0, 65504.0], [2.0, -65504.0]], jnp.float16)
  comp = jc.grid_quantize('nf4')
  shown = comp.encode(*comp.init(w)).decode()
  np.testing.assert_array_equal(shown[:, 1], [65504, -65504])

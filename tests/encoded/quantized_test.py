import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.encoded import Quantized
from jcompress.encoded.quantized import spread


def test_one_scale_for_all():
  leaf = Quantized(jnp.array([[3, -2], [0, 1]], jnp.int16), jnp.float32(0.25))
  np.testing.assert_array_equal(leaf.decode(), [[0.75, -0.5], [0, 0.25]])
  assert leaf.decode().dtype == jnp.float32
  assert leaf.bits() == 32 + 8  # four different codes


def test_a_scale_and_a_zero_for_each_column():
  codes = jnp.array([[0, 255], [10, 250]], jnp.uint8)
  scale, zero = jnp.array([[0.5, 2.0]]), jnp.array([[10, 250]], jnp.uint8)
  leaf = Quantized(codes, scale, zero, dtype=jnp.dtype(jnp.bfloat16))
  np.testing.assert_array_equal(leaf.decode(), [[-5, 10], [0, 0]])
  assert leaf.decode().dtype == jnp.bfloat16
  assert leaf.bits() == 2 * 32 + 2 * 8 + 8


def test_tiles_along_an_axis_may_end_early():
  codes = jnp.ones((5, 2), jnp.int8)
  scale = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
  rows = [[1, 2], [1, 2], [3, 4], [3, 4], [5, 6]]
  np.testing.assert_array_equal(
    Quantized(codes, scale, tile=(0, 2)).decode(), rows
  )
  np.testing.assert_array_equal(
    Quantized(codes.T, scale.T, tile=(1, 2)).decode(), np.transpose(rows)
  )


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize(
  ('shape', 'axis', 'size'),
  [((5,), 0, 2), ((4, 3), 0, 2), ((4, 3), 1, 7), ((2, 0, 3), 1, 2)],
)
def test_spread_is_indexing_by_the_number_of_the_tile(
  shape, axis, size, shared
):
  tiles = [1 if shared else n for n in shape]
  tiles[axis] = -(-shape[axis] // size)
  scale = np.arange(np.prod(tiles), dtype=np.float32).reshape(tiles)
  np.testing.assert_array_equal(
    spread(jnp.asarray(scale), shape, (axis, size)),
    np.take(scale, np.arange(shape[axis]) // size, axis),
  )


@pytest.mark.parametrize(
  ('scale', 'tile'),
  [
    ((3,), None),
    ((1, 1, 1), None),
    ((6, 5), None),
    ((6, 4), (0, 2)),
    ((3, 4), (0, 3)),
    ((3, 4), (2, 2)),
    ((3, 4), (-1, 2)),
    ((3, 4), (0, 0)),
    ((4,), (0, 2)),
  ],
)
def test_a_scale_that_does_not_fit_is_refused(scale, tile):
  leaf = Quantized(jnp.ones((6, 4), jnp.int8), jnp.ones(scale), tile=tile)
  with pytest.raises(ValueError, match='does not fit a weight'):
    leaf.decode()


def test_tiles_longer_than_the_axis_take_no_memory():
  leaf = Quantized(
    jnp.ones((5, 1), jnp.int8), jnp.ones((1, 1)), tile=(0, 1 << 40)
  )
  np.testing.assert_array_equal(leaf.decode(), np.ones((5, 1)))


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_it_passes_through_jit_and_the_file(dtype):
  codes = jax.random.randint(jax.random.key(0), (40, 30), -127, 128, jnp.int8)
  scale = jax.random.uniform(jax.random.key(1), (3, 30))
  leaf = Quantized(codes, scale, None, (0, 16), jnp.dtype(dtype))
  passed = jax.jit(lambda x: x)(leaf)
  read = jc.unpack(jc.pack({'w': leaf})).tree['w']
  for other in (passed, read):
    assert (other.tile, other.dtype) == (leaf.tile, leaf.dtype)
    np.testing.assert_array_equal(other.decode(), leaf.decode())


def test_a_zero_between_two_codes():
  codes = jnp.array([[0, 3], [1, 2]], jnp.uint8)
  scale, zero = jnp.array([[0.5, 2.0]]), jnp.array([[0.5, 1.25]])
  leaf = Quantized(codes, scale.astype(jnp.bfloat16), zero.astype(jnp.float16))
  np.testing.assert_array_equal(leaf.decode(), [[-0.25, 3.5], [0.25, 1.5]])
  back = jc.unpack(jc.pack(leaf)).tree
  assert back.zero.dtype == jnp.float16 and back.scale.dtype == jnp.bfloat16
  np.testing.assert_array_equal(back.decode(), leaf.decode())
  with pytest.raises(ValueError, match='float16, between two codes'):
    leaf.integers()

"""Tests of the layouts of the leaves."""

import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_damage_is_harmless, assert_same, round_trip

from jcompress import encoded
from jcompress.code import codes, layouts, streams, wire


def _sparse(shape, density, dtype=jnp.float32, seed=0):
  rng = np.random.default_rng(seed)
  values = jnp.asarray(rng.normal(size=shape), dtype)
  return encoded.Sparse(values, jnp.asarray(rng.random(shape) < density))


def _codebook(shape, zeros, zero=0, k=17, dtype=np.uint8, seed=0):
  rng = np.random.default_rng(seed)
  codes = rng.integers(0, k, shape)
  codes = np.where(rng.random(shape) < zeros, zero, codes).astype(dtype)
  centers = np.linspace(-1, 1, k, dtype=np.float32)
  centers[zero] = 0
  return encoded.Codebook(jnp.asarray(centers), jnp.asarray(codes))


@pytest.mark.parametrize('shape', [(), (0,), (1,), (40, 30), (3, 3, 4, 5)])
@pytest.mark.parametrize('density', [0, 0.1, 0.9, 1])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_sparse(shape, density, dtype):
  leaf = _sparse(shape, density, dtype)
  back = round_trip(leaf)
  assert_same(back, leaf)
  np.testing.assert_array_equal(back.mask, leaf.mask)
  assert not np.asarray(back.values)[~np.asarray(back.mask)].any()


def test_what_stands_outside_a_mask_is_not_shipped():
  mask = jnp.eye(50, dtype=bool)
  one = encoded.Sparse(jnp.ones((50, 50)), mask)
  two = encoded.Sparse(jnp.where(mask, 1.0, jnp.nan), mask)
  assert layouts.encode(one, 'auto', 'w') == layouts.encode(two, 'auto', 'w')
  assert len(layouts.encode(one, 'auto', 'w')) < 60


@pytest.mark.parametrize('shape', [(), (0,), (1,), (40, 30), (3, 3, 4, 5)])
@pytest.mark.parametrize('zeros', [0, 0.5, 0.95, 1])
@pytest.mark.parametrize('zero', [0, 8, 16])
@pytest.mark.parametrize('coder', ['auto', *streams.CODERS])
def test_codebook(shape, zeros, zero, coder):
  leaf = _codebook(shape, zeros, zero)
  back = round_trip(leaf, coder)
  assert_same(back, leaf)
  np.testing.assert_array_equal(back.codes, leaf.codes)
  np.testing.assert_array_equal(back.centers, leaf.centers)
  assert back.codes.dtype == leaf.codes.dtype


@pytest.mark.parametrize('dtype', [np.int8, np.uint16, np.int32, np.uint32])
def test_codes_keep_their_dtype(dtype):
  assert round_trip(_codebook((9, 9), 0.6, dtype=dtype)).codes.dtype == dtype


def test_structured_zeros_are_cheaper_than_a_stream_of_codes():
  rng = np.random.default_rng(0)
  kept = rng.random((400, 100)) < rng.random((400, 1)) ** 6
  codes = np.where(kept, rng.integers(1, 16, kept.shape), 0)
  leaf = encoded.Codebook(jnp.arange(16.0), jnp.asarray(codes, jnp.uint8))
  size = len(layouts.encode(leaf, 'auto', 'w'))
  assert size < 0.93 * leaf.bits() / 8


def test_the_order_of_a_codebook_does_not_matter():
  rng = np.random.default_rng(0)
  scale = np.exp(rng.normal(0, 1, (200, 1)) + rng.normal(0, 1, 90))
  steps = np.clip(np.round(rng.laplace(0, scale)), -7, 7).astype(int) + 7
  centers = np.linspace(-7, 7, 15)
  sizes = []
  for new in (np.arange(15), np.roll(np.arange(15), 8), rng.permutation(15)):
    moved = np.zeros(15, np.float32)
    moved[new] = centers
    leaf = encoded.Codebook(jnp.asarray(moved), jnp.asarray(new[steps]))
    record = layouts.encode(leaf, 'auto', 'w')
    assert record[0] == layouts.CODEBOOK[codes.JOINT]
    back = layouts.decode(record, 'Codebook')
    np.testing.assert_array_equal(back.codes, leaf.codes)
    sizes.append(len(record))
  assert max(sizes) <= min(sizes) + 16  # the centers themselves
  flat = len(layouts.encode(leaf, 'ans', 'w'))
  assert max(sizes) < 0.95 * flat


@pytest.mark.parametrize('code', [-1, 4, 100])
def test_codes_out_of_their_codebook_are_refused(code):
  leaf = encoded.Codebook(jnp.zeros(4), jnp.array([0, code], jnp.int8))
  with pytest.raises(ValueError, match='w has codes in'):
    layouts.encode(leaf, 'auto', 'w')


def test_damage():
  record = layouts.encode(_sparse((9, 9), 0.3), 'auto', 'w')
  with pytest.raises(ValueError, match='Unknown kind of leaf'):
    layouts.decode(record, 'Nothing')
  with pytest.raises(ValueError, match='Unknown layout'):
    layouts.decode(record, 'Codebook')
  with pytest.raises(ValueError, match='Unknown kind of leaf'):
    layouts.decode(record, 'Encoded')
  # Both bytes of the shape are 9.
  for shape in ((8, 9), (9, 10), (1 << 30, 1 << 30)):
    lie = record[:3] + b''.join(wire.varint(n) for n in shape) + record[5:]
    with pytest.raises(ValueError):
      layouts.decode(lie, 'Sparse')


@pytest.mark.parametrize('coder', ['ans', 'context'])
def test_a_code_beyond_its_codebook_in_a_file_is_refused(coder):
  for zeros in (0.0, 0.8):
    leaf = _codebook((60, 60), zeros)
    record = layouts.encode(leaf, coder, 'w')
    short = encoded.Codebook(leaf.centers[:9], leaf.codes % 9)
    other = layouts.encode(short, coder, 'w')
    reader = wire.Reader(record[1:], 'test')
    reader.prefixed()
    small = wire.Reader(other[1:], 'test')
    centers = wire.prefixed(small.prefixed())
    with pytest.raises(ValueError, match='code 16 of 9 centers'):
      layouts.decode(record[:1] + centers + reader.rest(), 'Codebook')


@pytest.mark.parametrize('k', [256, 257, 65_536, 65_537])
@pytest.mark.parametrize('coder', ['auto', *streams.CODERS])
def test_the_last_codes_of_a_large_codebook_survive(k, coder):
  codes = np.zeros(3000, np.uint32)
  codes[::7] = k - 1
  codes[1::7] = np.random.default_rng(0).integers(0, k, len(codes[1::7]))
  centers = jnp.arange(k, dtype=jnp.float32)
  leaf = encoded.Codebook(centers, jnp.asarray(codes))
  assert_same(round_trip(leaf, coder), leaf)


def _quantized(shape, zeros, low=-7, high=8, dtype=np.int8, zero=None, seed=0):
  rng = np.random.default_rng(seed)
  codes = rng.integers(low, high, shape)
  common = 0 if zero is None else zero
  codes = np.where(rng.random(shape) < zeros, common, codes).astype(dtype)
  scale = jnp.asarray(rng.random(shape[-1:]), jnp.float32)
  zero = None if zero is None else jnp.full(shape[-1:], zero, dtype)
  return encoded.Quantized(jnp.asarray(codes), scale, zero)


@pytest.mark.parametrize('shape', [(), (0,), (1,), (40, 30), (3, 3, 4, 5)])
@pytest.mark.parametrize('zeros', [0, 0.5, 0.95, 1])
@pytest.mark.parametrize('coder', ['auto', *streams.CODERS])
def test_quantized(shape, zeros, coder):
  leaf = _quantized(shape, zeros)
  back = round_trip(leaf, coder)
  assert_same(back, leaf)
  np.testing.assert_array_equal(back.codes, leaf.codes)
  np.testing.assert_array_equal(back.scale, leaf.scale)
  assert back.codes.dtype == leaf.codes.dtype and back.zero is None


@pytest.mark.parametrize(
  ('dtype', 'low', 'high'),
  [
    (np.int8, -128, 128),
    (np.uint8, 0, 256),
    (np.int16, -32768, 32768),
    (np.uint16, 0, 65536),
    (np.uint16, 65000, 65536),
  ],
)
@pytest.mark.parametrize('zeros', [0, 0.9])
def test_quantized_codes_of_the_whole_range_survive(dtype, low, high, zeros):
  leaf = _quantized((70, 60), zeros, low, high, dtype, zero=high - 1)
  codes = leaf.codes.at[0, :2].set(np.array([low, high - 1], dtype))
  leaf = encoded.Quantized(codes, leaf.scale, leaf.zero)
  back = round_trip(leaf)
  assert_same(back, leaf)
  assert back.codes.dtype == dtype and back.zero.dtype == dtype
  np.testing.assert_array_equal(back.codes, leaf.codes)


def test_quantized_codes_of_32_bits_go_field_by_field():
  leaf = encoded.Quantized(jnp.array([-(2**31), 5]), jnp.float32(2))
  assert_same(round_trip(leaf), leaf)


def test_a_pruned_quantized_leaf_is_written_by_its_positions():
  rng = np.random.default_rng(0)
  kept = rng.random((400, 100)) < rng.random((400, 1)) ** 6
  codes = np.where(kept, rng.integers(1, 8, kept.shape), 0)
  leaf = encoded.Quantized(jnp.asarray(codes, jnp.int8), jnp.float32(0.1))
  size = len(layouts.encode(leaf, 'auto', 'w'))
  assert size < 0.93 * leaf.bits() / 8


def test_a_quantized_leaf_that_does_not_decode_is_not_written():
  leaf = encoded.Quantized(jnp.ones((4, 3), jnp.int8), jnp.ones((4,)))
  with pytest.raises(ValueError, match='w: this Quantized does not decode'):
    layouts.encode(leaf, 'auto', 'w')
  leaf = encoded.Quantized(jnp.ones(3, jnp.int8), jnp.float32(np.nan))
  with pytest.raises(ValueError, match='w.scale has NaN'):
    layouts.encode(leaf, 'auto', 'w')


@pytest.mark.parametrize('zeros', [0, 0.9])
def test_damage_of_a_quantized_record_is_harmless(zeros):
  fits = lambda leaf, shown: shown.shape == leaf.codes.shape
  assert_damage_is_harmless(_quantized((30, 20), zeros), fits, most=80)


def _grid(reader):
  """Static fields and two arrays, each with its length."""
  return [wire.prefixed(reader.prefixed()) for _ in range(3)]


def test_a_record_of_steps_by_hand():
  steps = jnp.asarray([[3, -1], [3, 3]], jnp.int8)
  leaf = encoded.Quantized(steps, jnp.float32(0.5))
  record = bytes.fromhex(
    '0b 00 06 0b 00 00 00 00 3f 00'  # layout, static fields, scale, no zero
    '01 21 11 04 09'  # low -1, int8, raw of width 3: 4 0 4 4
  )
  assert layouts.encode(leaf, 'raw', 'w', (2, 2)) == record
  found = layouts.decode(record, 'Quantized', (2, 2))
  assert found.codes.tolist() == steps.tolist() and found.dtype == jnp.float32
  assert layouts.decode(record, 'Quantized', (4,)).codes.shape == (4,)
  with pytest.raises(ValueError, match='no shape'):
    layouts.decode(record, 'Quantized')
  old = bytes.fromhex(
    '04 1a 11 92 c0 81 a5 64 74 79 70 65 a7 66 6c 6f 61 74 33 32'
    '06 0b 00 00 00 00 3f 00 ff ff 01 01 02 02 02 11 04 09'
  )
  assert_same(layouts.decode(old, 'Quantized', (2, 2)), leaf)


@pytest.mark.parametrize('leaf', [_sparse((40, 30), 0.1), _codebook((8, 6), 0)])
def test_a_shape_that_is_stated_is_not_written_again(leaf):
  shape, kind = leaf.decode().shape, type(leaf).__name__
  record = layouts.encode(leaf, 'auto', 'w', shape)
  assert len(record) == len(layouts.encode(leaf, 'auto', 'w')) - 3
  assert_same(layouts.decode(record, kind, shape), leaf)


def test_a_scale_in_a_file_cannot_enlarge_the_weight():
  leaf = _quantized((1, 30), 0)
  record = layouts.encode(leaf, 'auto', 'w')
  tall = encoded.Quantized(leaf.codes.T, jnp.ones((30, 1)))
  other = layouts.encode(tall, 'auto', 'w')
  grid = b''.join(_grid(wire.Reader(other[1:], 'b')))
  reader = wire.Reader(record[1:], 'a')
  _grid(reader)
  with pytest.raises(ValueError, match='does not decode'):
    layouts.decode(record[:1] + grid + reader.rest(), 'Quantized')


def _blocks(shape=(12, 20), k=5, common=0.0):
  rng = np.random.default_rng(0)
  codes = np.where(rng.random(shape) < common, 2, rng.integers(0, k, shape))
  return encoded.Blocks(
    jnp.asarray(codes, jnp.uint8),
    jnp.asarray(rng.integers(-9, 0, (3, shape[1])), jnp.int8),
    jnp.linspace(-1, 1, k).astype(jnp.bfloat16),
    (0, 4),
    jnp.dtype(jnp.bfloat16),
  )


@pytest.mark.parametrize('common', [0, 0.9])
@pytest.mark.parametrize('coder', ['auto', *streams.CODERS])
def test_blocks(common, coder):
  leaf = _blocks(common=common)
  back = round_trip(leaf, coder)
  assert_same(back, leaf)
  assert back.tile == (0, 4) and back.dtype == jnp.bfloat16
  assert back.scale.dtype == jnp.int8 and back.centers.dtype == jnp.bfloat16


def test_codes_of_blocks_beyond_their_centers_are_refused():
  leaf = _blocks()
  bad = encoded.Blocks(
    leaf.codes.at[3, 4].set(5), *(leaf.scale, leaf.centers, leaf.tile)
  )
  with pytest.raises(
    ValueError, match=r'w has codes in 0 \.\. 5 and 5 centers'
  ):
    layouts.encode(bad, 'auto', 'w')
  record = layouts.encode(leaf, 'auto', 'w')
  few = layouts.encode(_blocks(k=4), 'auto', 'w')
  grid = b''.join(_grid(wire.Reader(few[1:], 'b')))
  reader = wire.Reader(record[1:], 'a')
  _grid(reader)
  with pytest.raises(ValueError, match='codes in 0 .. 4 and 4 centers'):
    layouts.decode(record[:1] + grid + reader.rest(), 'Blocks')


def test_damage_of_a_record_of_blocks_is_harmless():
  fits = lambda leaf, shown: shown.shape == leaf.codes.shape
  assert_damage_is_harmless(_blocks(common=0.7), fits)

"""Tests of leaves that are written field by field."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_same, round_trip

from jcompress import encoded
from jcompress.code import arrays, fields, layouts, plain, wire


def test_other_kinds_go_field_by_field():
  for leaf in (
    encoded.Dense(jnp.arange(6.0).reshape(2, 3)),
    encoded.Dense(jnp.arange(6, dtype=jnp.int32)),
    encoded.Signs(jnp.eye(7) > 0, jnp.float32(0.5)),
    encoded.LowRank(jnp.ones((6, 2)), jnp.ones((2, 4)), (2, 3, 4)),
    encoded.LowRank(jnp.zeros((3000, 1)), jnp.zeros((1, 3000)), (3000, 3000)),
  ):
    back = round_trip(leaf)
    assert_same(back, leaf)
    assert jax.tree.structure(back) == jax.tree.structure(leaf)


@encoded.leaf
class Multiplied(encoded.Encoded):
  """A kind that this library does not know."""

  values: jax.Array
  scale: jax.Array | None
  name: str = encoded.static()
  options: tuple = encoded.static()
  dtype: np.dtype = encoded.static()

  def decode(self):
    scale = 1 if self.scale is None else self.scale
    return (self.values * scale).astype(self.dtype)


def test_kinds_added_later_need_nothing():
  options = (1, (2.5, None, True), b'x', 2**40)
  dtype = jnp.dtype('bfloat16')
  for scale in (None, jnp.float32(2)):
    leaf = Multiplied(jnp.arange(3.0), scale, 'näme', options, dtype)
    back = round_trip(leaf)
    assert_same(back, leaf)
    assert (back.name, back.options, back.dtype) == ('näme', options, dtype)


def test_static_fields_are_written_where_one_is_not_the_default():
  written = lambda leaf: fields.write(leaf, [], 'auto', 'w')
  steps, scale = jnp.ones((2, 2), jnp.int8), jnp.float32(2)
  assert written(encoded.Quantized(steps, scale)) == b'\0'
  half = encoded.Quantized(steps, scale, dtype=jnp.dtype(jnp.bfloat16))
  assert written(half).hex(' ') == '05 92 c0 81 00 0a'
  tiles = encoded.Quantized(steps, jnp.ones((1, 2)), tile=(0, 2))
  assert written(tiles).hex(' ') == '07 92 92 00 02 81 00 0b'
  for leaf in (half, tiles):
    assert_same(round_trip(leaf), leaf)


def test_static_fields_without_a_default_are_always_written():
  with pytest.raises(ValueError, match="missing .*required.*'shape'"):
    record = b'\0\0' + _array((6, 2)) + _array((2, 4))
    layouts.decode(record, 'LowRank')


@pytest.mark.parametrize(
  'bad', [{0: 26}, {0: -1}, {0: True}, {0: 11, 1: 0}, {1: 11}, {}]
)
def test_static_fields_of_no_dtype_are_refused(bad):
  static = wire.prefixed(plain.dumps([None, bad], 'static'))
  reader = wire.Reader(static + b'\0\0', 'test')
  with pytest.raises(ValueError, match='Damaged static field'):
    fields.read(reader, encoded.Quantized, ['scale', 'zero'])


def test_static_fields_must_be_plain():
  leaf = Multiplied(jnp.arange(3.0), None, 'a', (len,), np.dtype('float32'))
  with pytest.raises(ValueError, match='w.options is a static field'):
    layouts.encode(leaf, 'auto', 'w')
  leaf = Multiplied(jnp.arange(3.0), None, 'a', (), np.dtype('complex64'))
  with pytest.raises(ValueError, match='w.dtype is a static field'):
    layouts.encode(leaf, 'auto', 'w')


def test_fields_must_be_arrays():
  with pytest.raises(ValueError, match='w is of type str'):
    layouts.encode(encoded.Dense('text'), 'auto', 'w')
  with pytest.raises(ValueError, match='key_data'):
    layouts.encode(encoded.Dense(jax.random.key(0)), 'auto', 'w')
  with pytest.raises(ValueError, match='w.scale has NaN'):
    bad = encoded.Signs(jnp.ones(2) > 0, jnp.float32(jnp.nan))
    layouts.encode(bad, 'auto', 'w')
  with pytest.raises(ValueError, match='outside jit'):
    jax.jit(lambda x: layouts.encode(encoded.Dense(x), 'auto', 'w'))(1.0)


def test_a_leaf_that_does_not_decode_is_refused_on_both_sides():
  good = encoded.LowRank(jnp.ones((6, 2)), jnp.ones((2, 4)), (24,))
  with pytest.raises(ValueError, match='does not decode'):
    bad = dataclasses.replace(good, shape=(25,))
    layouts.encode(bad, 'auto', 'w')
  record = layouts.encode(good, 'auto', 'w')
  assert record.count(bytes([24])) == 1
  with pytest.raises(ValueError, match='does not decode'):
    layouts.decode(record.replace(bytes([24]), bytes([25])), 'LowRank')


def _array(shape, dtype=np.float32):
  return wire.prefixed(arrays.encode(np.zeros(shape, dtype)))


def _static(*shape):
  return wire.prefixed(plain.dumps([list(shape)], 'static'))


@pytest.mark.parametrize(
  'kind, record',
  [
    ('Dense', b'\0' + _array((2**31 - 1, 0))),
    ('Dense', b'\0' + _array((2**10, 2**10, 0), bool)),
    ('Sparse', b'\0' + _array((2**30, 0)) + _array((2**30, 0), bool)),
    ('Signs', b'\0' + _array((2**15, 1, 1), bool) + _array((1, 2**15, 0))),
    (
      'LowRank',
      b'\0' + _static(2**31 - 1, 0) + _array((0, 1)) + _array((1, 0)),
    ),
  ],
)
def test_empty_arrays_of_many_rows_are_refused(kind, record):
  with pytest.raises(ValueError, match='empty shape'):
    layouts.decode(record, kind)


def test_empty_arrays_are_kept_or_not_written():
  for shape in ((0, 2**31 - 1), (2**19, 0), (3, 0, 2**20)):
    leaf = encoded.Dense(np.zeros(shape, np.float64))
    assert round_trip(leaf).values.shape == shape
  for leaf in (
    encoded.Dense(np.zeros((2**20, 0))),
    encoded.Sparse(np.zeros((2**20, 0)), np.zeros((2**20, 0), bool)),
    encoded.Codebook(np.zeros(2), np.zeros((2**20, 0), np.uint8)),
  ):
    with pytest.raises(ValueError, match='w.* has the empty shape'):
      layouts.encode(leaf, 'auto', 'w')


def test_keys_are_written_and_other_generators_refused():
  leaf = encoded.as_it_is(jax.random.split(jax.random.key(7), 2))
  assert (round_trip(leaf).decode() == leaf.decode()).all()
  record = layouts.encode(leaf, 'auto', 'w')
  for bad in (b'threefry2x33', b'unsafe_rbg..'):
    with pytest.raises(ValueError, match='does not decode'):
      layouts.decode(record.replace(b'threefry2x32', bad), 'Key')
  with pytest.raises(ValueError, match='does not decode'):
    layouts.encode(encoded.Key(jnp.ones(3), 'rbg'), 'auto', 'w')


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_arrays_that_are_shipped_as_they_are_may_have_nan_and_inf(bad):
  values = np.array([1.0, bad, -0.0], np.float32)
  values.view(np.uint32)[1] |= 5 * np.isnan(bad)  # one NaN of many
  leaf = round_trip(encoded.Dense(values))
  assert np.asarray(leaf.values).tobytes() == values.tobytes()


def test_bytes_in_another_order_are_put_into_this_one():
  for leaf in (
    encoded.Dense(np.arange(2, dtype='>f4')),
    encoded.Codebook(jnp.arange(2.0), np.array([0, 1], '>i2')),
  ):
    assert np.asarray(round_trip(leaf).decode()).tolist() == [0, 1]

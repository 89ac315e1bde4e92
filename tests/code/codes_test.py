import numpy as np
import pytest

from jcompress.code import codes, wire


def _round_trip(x, coder='auto'):
  split, record = codes.encode(x, coder)
  return split, codes.decode(wire.Reader(record, 'test'), split, x.shape)


@pytest.mark.parametrize('high', [2, 256, 257, 2**32])
@pytest.mark.parametrize('coder', ['auto', 'raw', 'huffman', 'zstd', 'ans'])
def test_codes_survive_with_and_without_a_commonest_one(high, coder):
  rng = np.random.default_rng(0)
  many = rng.integers(0, high, (50, 40), dtype=np.uint32)
  many[0, 0] = high - 1
  few = np.where(rng.random(many.shape) < 0.02, many, high // 2)
  for x in (many, few.astype(np.uint32)):
    split, back = _round_trip(x, coder)
    np.testing.assert_array_equal(back, x)


def test_they_are_split_only_where_that_is_smaller():
  rng = np.random.default_rng(0)
  rows = rng.random((400, 100)) < rng.random((400, 1)) ** 6
  pruned = np.where(rows, rng.integers(1, 16, rows.shape), 0)
  assert _round_trip(pruned)[0]
  assert not _round_trip(rng.integers(0, 16, (400, 100)))[0]
  assert not _round_trip(np.zeros((400, 100), np.uint8))[0]
  assert not _round_trip(np.zeros((0, 3), np.uint8))[0]


def test_a_commonest_code_that_lies_is_refused():
  rng = np.random.default_rng(0)
  x = np.where(rng.random((60, 60)) < rng.random((60, 1)) ** 6, 3, 0)
  split, record = codes.encode(x)
  assert split and record[0] == 0
  lie = wire.varint(1 << 40) + record[1:]
  with pytest.raises(ValueError, match='not a code'):
    codes.decode(wire.Reader(lie, 'test'), True, x.shape)

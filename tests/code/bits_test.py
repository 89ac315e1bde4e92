"""Tests of packed integers."""

import numpy as np
import pytest

from jcompress.code import bits


def test_by_hand():
  # 3 bits, low first: 1 = 001, 2 = 010, 7 = 111 -> 1_11 010 001.
  assert bits.pack(np.array([1, 2, 7]), 3) == bytes([0b11010001, 0b1])
  assert bits.pack(np.array([], int), 5) == b''
  assert bits.width(0) == 1
  assert bits.width(31) == 5


@pytest.mark.parametrize('width', range(1, 33))
@pytest.mark.parametrize('n', [0, 1, 7, 8, 9, 1001])
def test_round_trip(width, n):
  values = np.random.default_rng(width).integers(0, 1 << width, n)
  if n:
    values[-1] = (1 << width) - 1
  data = bits.pack(values, width)
  assert len(data) == (n * width + 7) // 8
  np.testing.assert_array_equal(bits.unpack(data, n, width), values)


def test_round_trip_over_blocks():
  values = np.random.default_rng(0).integers(0, 1 << 11, (1 << 19) + 13)
  data = bits.pack(values, 11)
  np.testing.assert_array_equal(bits.unpack(data, len(values), 11), values)


def test_errors():
  with pytest.raises(ValueError, match='do not fit in 3 bits'):
    bits.pack(np.array([8]), 3)
  with pytest.raises(ValueError, match='do not fit'):
    bits.pack(np.array([-1]), 3)
  with pytest.raises(ValueError, match='1 to 32'):
    bits.pack(np.array([1]), 33)
  with pytest.raises(ValueError, match='cannot hold'):
    bits.unpack(b'ab', 2, 3)
  with pytest.raises(ValueError, match='cannot hold'):
    bits.unpack(b'', -1, 3)

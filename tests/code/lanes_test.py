"""Tests of the lanes of prefix codes."""

import numpy as np
import pytest

from jcompress.code import lanes, wire

# Codes 0, 01, 011, 111 read from the lowest bit.
CODES, LENGTHS = np.array([0, 1, 3, 7]), np.array([1, 2, 3, 3])


def _symbols(n):
  return np.random.default_rng(n).choice(4, n, p=[0.5, 0.25, 0.125, 0.125])


def test_by_hand():
  # 0 | 1 -> 10 | 3 -> 111 | 0: low bits first 0 10 111 0.
  data = lanes.encode(np.array([0, 1, 3, 0]), 0, CODES, LENGTHS)
  assert data == bytes([0b0111010])


@pytest.mark.parametrize('n', [1, 5, 1023, 1024, 2048, 5001, 1_000_003])
def test_round_trip(n):
  x = _symbols(n)
  data = lanes.encode(x, 0, CODES, LENGTHS)
  back = lanes.decode(wire.Reader(data, 'test'), n, CODES, LENGTHS)
  np.testing.assert_array_equal(back, x)
  payload = LENGTHS[x].sum() / 8
  assert payload <= len(data) < payload + lanes.overhead(n) + 2


def test_long_codes():
  codes = np.append((1 << np.arange(12)) - 1, (1 << 12) - 1)
  lengths = np.append(np.arange(12) + 1, 12)
  x = np.random.default_rng(0).integers(0, 13, 9000)
  data = lanes.encode(x + 3, 3, codes, lengths)
  back = lanes.decode(wire.Reader(data, 'test'), 9000, codes, lengths)
  np.testing.assert_array_equal(back, x)


def test_damage():
  x = _symbols(5000)
  data = lanes.encode(x, 0, CODES, LENGTHS)
  read = lambda d, n: lanes.decode(wire.Reader(d, 'test'), n, CODES, LENGTHS)
  for n in (0, 4000, 4980, 5020, 10**8):
    with pytest.raises(ValueError):
      read(data, n)
  for size in range(0, len(data), 7):
    with pytest.raises(ValueError):
      read(data[:size], 5000)
  with pytest.raises(ValueError):
    read(data + b'\0', 5000)

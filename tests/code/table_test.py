"""Tests of frequency tables."""

import numpy as np
import pytest

from jcompress.code import table, wire


def _entropy(counts):
  return float(-(counts * np.log2(counts / counts.sum())).sum())


@pytest.mark.parametrize('letters', [[3, 4, 5, 9], [7, 900, 2**32 - 1], [0]])
def test_round_trip(letters):
  counts = np.arange(1, len(letters) + 1) ** 3
  fitted, record = table.fit(np.array(letters), counts)
  read = table.read(wire.Reader(record, 'test'))
  np.testing.assert_array_equal(read.letters, letters)
  np.testing.assert_array_equal(read.weights, fitted.weights)
  assert (read.weights == np.round(read.weights)).all()
  assert read.weights.min() >= 1


@pytest.mark.parametrize('n', [100, 10_000, 10_000_000])
def test_table_and_rounding_cost_little(n):
  p = np.exp(-np.abs(np.arange(32) - 15.5) / 3)
  counts = np.maximum(1, n * p / p.sum()).astype(np.int64)
  fitted, record = table.fit(np.arange(32), counts)
  loss = table.cost(counts, fitted) - _entropy(counts)
  assert 0 <= loss + 1e-6
  assert loss / 8 + len(record) < 16 + 4 * np.log2(n)


def test_extreme_counts():
  counts = np.array([1, 10**12])
  fitted, _ = table.fit(np.array([0, 1]), counts)
  assert table.cost(counts, fitted) < 10**12 * 4e-6


@pytest.mark.parametrize(
  'record',
  [
    b'',
    bytes([9 << 3 | 7, 0, 2, 255]),
    bytes([1 << 3, 0, 200, 1, 255]),
    bytes([1 << 3, 0, 4, 0]),
    bytes([1 << 3]) + wire.varint(2**33) + bytes([4, 255]),
    bytes([9 << 3, 0, 2]) + b'\xff' * 3,
  ],
)
def test_damage(record):
  with pytest.raises(ValueError):
    table.read(wire.Reader(record, 'test'))

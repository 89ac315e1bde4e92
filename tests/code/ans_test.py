"""Tests of the ANS coder."""

import numpy as np
import pytest

from jcompress.code import ans


def _symbols(n, letters=32, seed=0):
  x = np.random.default_rng(seed).laplace(0, 2, n)
  return np.clip(np.round(x) + letters // 2, 0, letters - 1).astype(np.uint8)


@pytest.mark.parametrize('n', [2, 100, 100_000])
def test_round_trip_near_entropy(n):
  x = _symbols(n, seed=1)
  x[:2] = 3, 4
  letters, counts = np.unique(x, return_counts=True)
  data = ans.encode(x, letters.astype(np.int64), counts)
  np.testing.assert_array_equal(ans.decode(data, n), x)
  entropy = -(counts * np.log2(counts / n)).sum() / 8
  assert len(data) <= entropy * 1.002 + 0.4 * len(letters) + 12
  assert abs(ans.estimate(letters, counts) - len(data)) < 6


def test_wide_letters():
  x = np.array([0, 2**32 - 1, 70_000, 0, 0, 70_000], np.uint32)
  letters, counts = np.unique(x, return_counts=True)
  data = ans.encode(x, letters.astype(np.int64), counts)
  np.testing.assert_array_equal(ans.decode(data, 6), x)


def test_groups_share_one_stack():
  a, b = np.array([0, 1, 1, 0], np.int32), np.array([2, 0, 1], np.int32)
  none = np.zeros(0, np.int32)
  two, three = np.array([3.0, 1.0]), np.array([1.0, 2.0, 4.0])
  data = ans.pack_groups([(a, two), (none, two), (b, three)])
  sizes = [(4, two), (0, two), (3, three)]
  back = ans.unpack_groups(data, sizes, 'test')
  for x, y in zip(back, (a, none, b), strict=True):
    np.testing.assert_array_equal(x, y)


def test_the_bytes_of_a_stream_are_fixed():
  # A known answer: files must be readable by later versions and machines.
  x = np.array([0, 1, 2, 0, 0, 1, 0, 0] * 4, np.uint8)
  data = ans.encode(x, np.arange(3), np.array([20, 8, 4]))
  assert data.hex() == '0800031b4c958e2d0948f192'


def test_the_wrong_number_of_symbols_is_found():
  x = _symbols(1000)
  letters, counts = np.unique(x, return_counts=True)
  data = ans.encode(x, letters, counts)
  for n in (0, 1, 900, 999, 1001, 2000):
    with pytest.raises(ValueError, match='Damaged'):
      ans.decode(data, n)


def test_one_letter_tables_are_refused():
  with pytest.raises(ValueError, match='1 letters'):
    ans.decode(bytes([1 << 3, 0, 1, 1]), 5)

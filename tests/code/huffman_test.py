"""Tests of Huffman codes."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.code import huffman, wire


def _huffman_cost(counts):
  """Bits of the best code without a limit: the sum of all merges."""
  heap, total = [int(c) for c in counts], 0
  heapq.heapify(heap)
  while len(heap) > 1:
    both = heapq.heappop(heap) + heapq.heappop(heap)
    total += both
    heapq.heappush(heap, both)
  return total


def _limited_cost(counts, limit):
  """The same with a limit, by trying all lengths."""
  best = [np.inf]
  counts = sorted(counts, reverse=True)

  def extend(i, low, kraft, cost):
    if i == len(counts):
      best[0] = min(best[0], cost)
      return
    for length in range(low, limit + 1):
      if kraft + 2.0**-length <= 1:
        extend(i + 1, length, kraft + 2.0**-length, cost + counts[i] * length)

  extend(0, 1, 0.0, 0)
  return best[0]


def test_known_answers():
  lengths = huffman.code_lengths(np.array([5, 9, 12, 13, 16, 45]))
  np.testing.assert_array_equal(lengths, [4, 4, 3, 3, 3, 1])
  counts = np.array([8, 4, 2, 1, 1])
  assert counts @ huffman.code_lengths(counts) / 16 == 1.875
  np.testing.assert_array_equal(
    huffman.codes(np.array([2, 1, 3, 3])), [0b10, 0b0, 0b110, 0b111]
  )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300))
def test_lengths_are_a_full_code_and_optimal(counts):
  counts = np.array(counts)
  used = counts[counts > 0]
  lengths = huffman.code_lengths(counts, 20)
  assert ((lengths > 0) == (counts > 0)).all()
  if len(used) > 1:
    assert (2.0 ** -lengths[lengths > 0]).sum() == 1
  if len(used) > 1 and lengths.max() < 20:
    assert counts @ lengths == _huffman_cost(used)
    entropy = -(used * np.log2(used / used.sum())).sum()
    assert entropy - 1e-6 <= counts @ lengths < entropy + used.sum()


@pytest.mark.parametrize('limit', [3, 4, 5])
@pytest.mark.parametrize('seed', range(5))
def test_limited_lengths_are_optimal(limit, seed):
  rng = np.random.default_rng(seed)
  counts = np.maximum(1, np.exp(rng.normal(0, 3, 8))).astype(np.int64)
  lengths = huffman.code_lengths(counts, limit)
  assert lengths.max() <= limit
  assert (2.0**-lengths).sum() == 1
  assert counts @ lengths == _limited_cost(counts.tolist(), limit)


def test_errors_of_lengths():
  with pytest.raises(ValueError, match='longer than 3'):
    huffman.code_lengths(np.ones(9, int), 3)
  with pytest.raises(ValueError, match='negative'):
    huffman.code_lengths(np.array([1, -1]))
  np.testing.assert_array_equal(huffman.code_lengths(np.array([0, 7])), [0, 1])


@pytest.mark.parametrize('n', [2, 100, 5000, 300_000])
@pytest.mark.parametrize('k', [2, 32, 256, 2048])
def test_round_trip(n, k):
  rng = np.random.default_rng(n)
  x = np.minimum(rng.exponential(k / 8, n), k - 1).astype(np.uint32) + 5
  x[:2] = 5, 4 + k
  letters, counts = np.unique(x, return_counts=True)
  data = huffman.encode(x, letters.astype(np.int64), counts)
  np.testing.assert_array_equal(huffman.decode(data, n), x)
  payload = counts @ huffman.code_lengths(counts) / 8
  assert len(data) < payload * 1.005 + k / 2 + 12
  assert abs(huffman.estimate(letters, counts) - len(data)) < 12 + payload / 100


def test_damaged_tables():
  x = np.array([0, 1, 2, 3] * 50, np.uint8)
  letters, counts = np.unique(x, return_counts=True)
  data = huffman.encode(x, letters, counts)
  assert data[:4] == bytes([0, 4, 0x22, 0x22])
  for table in (b'\0\4\x12\x22', b'\0\4\x22\x32', b'\0\4\0\0', b'\0\4\x2f\x22'):
    with pytest.raises(ValueError, match='Kraft'):
      huffman.decode(table + data[4:], 200)
  with pytest.raises(ValueError, match='letters'):
    huffman.decode(b'\0' + wire.varint(4000) + data[2:], 200)
  for n in (0, 1, 190, 210, 10**6):
    with pytest.raises(ValueError, match='Damaged'):
      huffman.decode(data, n)


@pytest.mark.parametrize('n', [20, 500, 5000])
def test_an_estimate_is_not_below_the_least(n):
  x = np.random.default_rng(n).geometric(0.3, n)
  letters, counts = np.unique(x, return_counts=True)
  least, about = (f(letters, counts) for f in (huffman.least, huffman.estimate))
  assert 0.9 * about < least <= about
  assert abs(len(huffman.encode(x, letters, counts)) - about) < 9

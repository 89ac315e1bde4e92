"""Canonical Huffman codes of limited length, decoded in many lanes at once.

The stream is cut into lanes of equally many symbols. Their codes lie one after
the other in one row of bits; the lengths of the lanes travel packed. So NumPy
decodes all lanes in lock step: one look-up of `2^T` entries gives up to four
symbols a lane. A code is written with its first bit lowest. The table costs
four bits a letter.

References:
  Huffman, "A method for the construction of minimum-redundancy codes", 1952.
  Schwartz, Kallick, "Generating a canonical prefix encoding", 1964.
  Larmore, Hirschberg, "A fast algorithm for optimal length-limited Huffman
  codes", 1990: package-merge.
"""

import numpy as np
from jaxtyping import Int64, Integer

from jcompress.code import bits, lanes, wire

LIMIT = 12
MAX_LETTERS = 2048
_MAX_SPAN = 4096


def code_lengths(
  counts: Integer[np.ndarray, ' k'], limit: int = LIMIT
) -> Int64[np.ndarray, ' k']:
  """Lengths of the best prefix code with no code longer than `limit`.

  >>> code_lengths(np.array([5, 9, 12, 13, 16, 45]))
  array([4, 4, 3, 3, 3, 1])

  Args:
    counts: how often each letter occurs; 0 gets length 0 (no code), an only
      letter length 1.
    limit: in bits.

  Raises:
    ValueError: a negative count, or more letters than `2^limit`.
  """
  counts = np.asarray(counts, np.int64)
  if counts.size and counts.min() < 0:
    raise ValueError(f'Counts must not be negative: {counts.min()} is.')
  used = np.flatnonzero(counts)
  if len(used) > 1 << limit:
    raise ValueError(
      f'{len(used)} letters need codes longer than {limit} bits: raise limit.'
    )
  lengths = np.zeros(counts.size, np.int64)
  lengths[used] = _package_merge(counts[used], limit)
  return lengths


def codes(lengths: Integer[np.ndarray, ' k']) -> Int64[np.ndarray, ' k']:
  """Canonical codes: by length, then by letter; first bit highest.

  >>> codes(np.array([2, 1, 3, 3]))
  array([2, 0, 6, 7])
  """
  out = np.zeros(len(lengths), np.int64)
  order = np.argsort(lengths, kind='stable')
  order = order[np.asarray(lengths)[order] > 0]
  code, before = 0, 0
  for i in order.tolist():
    code <<= int(lengths[i]) - before
    before = int(lengths[i])
    out[i] = code
    code += 1
  return out


def fits(letters: Integer[np.ndarray, ' k']) -> bool:
  """Whether `encode` can write these letters."""
  span = int(letters[-1]) - int(letters[0]) + 1
  return len(letters) <= MAX_LETTERS and span <= _MAX_SPAN


def least(
  letters: Integer[np.ndarray, ' k'], counts: Integer[np.ndarray, ' k']
) -> float:
  """Bytes that `estimate` is not below."""
  n = int(counts.sum())
  entropy = float(counts @ -np.log2(counts / n))
  return max(entropy, n) / 8 + _around(letters, n)


def estimate(
  letters: Integer[np.ndarray, ' k'], counts: Integer[np.ndarray, ' k']
) -> float:
  """Bytes of `encode`, to within a few."""
  payload = int(counts @ code_lengths(counts))
  return payload / 8 + _around(letters, int(counts.sum()))


def encode(
  symbols: Integer[np.ndarray, ' n'],
  letters: Integer[np.ndarray, ' k'],
  counts: Integer[np.ndarray, ' k'],
) -> bytes:
  """Codes a stream with its table in front.

  Args:
    symbols: unsigned.
    letters: those that occur, increasing, from 2 to 2,048, spread over at most
      4,096 values.
    counts: how often each does.
  """
  first, span = int(letters[0]), int(letters[-1] - letters[0]) + 1
  lengths = np.zeros(span, np.int64)
  lengths[letters - first] = code_lengths(counts)
  table = wire.varint(first) + wire.varint(span) + bits.pack(lengths, 4)
  return table + lanes.encode(symbols, first, _reversed(lengths), lengths)


def decode(data: bytes, n: int) -> Integer[np.ndarray, ' n']:
  """Inverts `encode`.

  Raises:
    ValueError: the table is not a full prefix code (its Kraft sum is not 1), or
      the codes do not end with the data.
  """
  reader = wire.Reader(data, 'Huffman stream')
  first, span = reader.varint(), reader.varint()
  if not 2 <= span <= min(_MAX_SPAN, 2 * reader.left()):
    raise ValueError(f'Damaged {reader.what}: {span} letters.')
  if first > 0xFFFFFFFF - span:
    raise ValueError(f'Damaged {reader.what}: letters from {first}.')
  packed = reader.take(bits.packed_size(span, 4))
  lengths = bits.unpack(packed, span, 4).astype(np.int64)
  kraft = int((1 << LIMIT >> lengths[lengths > 0]).sum())
  if lengths.max() > LIMIT or kraft != 1 << LIMIT:
    raise ValueError(
      f'Damaged {reader.what}: lengths up to {lengths.max()}, Kraft sum '
      f'{kraft / (1 << LIMIT)}, not 1.'
    )
  out = lanes.decode(reader, n, _reversed(lengths), lengths)
  if first + span <= 256:
    return out.astype(np.uint8) + np.uint8(first)
  return out.astype(np.uint32) + np.uint32(first)


def _around(letters, n):
  """Bytes of the table and the lanes of `n` symbols."""
  span = int(letters[-1] - letters[0]) + 1
  return span / 2 + lanes.overhead(n) + 4


def _package_merge(counts, limit):
  """Lengths of letters that all occur.

  At each level the packages are the pairs of the level before, merged with the
  letters by weight; the first `2k - 2` items of the last level are the code. A
  letter is as long as it is often among the items chosen.
  """
  k = len(counts)
  if k < 2:
    return np.ones(k, np.int64)
  order = np.argsort(counts, kind='stable')
  letters = counts[order]
  levels, weights = [np.ones(k, bool)], letters
  for _ in range(limit - 1):
    even = weights[: len(weights) // 2 * 2]
    merged = np.concatenate([letters, even[0::2] + even[1::2]])
    rank = np.argsort(merged, kind='stable')
    levels.append(rank < k)
    weights = merged[rank]
  lengths = np.zeros(k, np.int64)
  take = 2 * k - 2
  for is_letter in reversed(levels):
    chosen = int(is_letter[:take].sum())
    lengths[:chosen] += 1
    take = 2 * (take - chosen)
  out = np.empty(k, np.int64)
  out[order] = lengths
  return out


def _reversed(lengths):
  """Canonical codes with the first bit lowest."""
  code, out = codes(lengths), np.zeros(len(lengths), np.int64)
  for i in range(LIMIT):
    bit = code >> np.maximum(lengths - 1 - i, 0) & 1
    out |= np.where(i < lengths, bit, 0) << i
  return out

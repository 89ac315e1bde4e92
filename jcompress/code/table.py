"""Frequency tables small enough to travel with a stream.

A table lists the letters that occur, each with a weight. Weights are small
floating-point integers of `w` bits, `m` of them mantissa: code `c` stands for
`c` below `2^(m+1)` and for `(2^m + c mod 2^m) * 2^(c // 2^m - 1)` above. A
rounding of a weight by a relative `d` costs about `d^2 / (2 ln 2)` bits a
symbol, so a few bits a letter are enough; `w` and `m` are those that make table
and stream together smallest. All is integers: every machine rebuilds the same
model.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer

from jcompress.code import bits, wire

MAX_LETTER = (1 << 32) - 1
MAX_WEIGHT = 1 << 22


class Table(NamedTuple):
  """A model of independent symbols.

  Attributes:
    letters: `[k]`, increasing.
    weights: `[k]`, integers of at least 1; the probability is their share.
  """

  letters: Int64[np.ndarray, ' k']
  weights: Float64[np.ndarray, ' k']


def cost(counts: Integer[np.ndarray, ' k'], table: Table) -> float:
  """Bits of symbols with these counts under the table's probabilities."""
  return float(counts @ -np.log2(table.weights / table.weights.sum()))


def fit(
  letters: Integer[np.ndarray, ' k'], counts: Integer[np.ndarray, ' k']
) -> tuple[Table, bytes]:
  """The table that is cheapest for these counts, and its record.

  Args:
    letters: increasing, each in `0 .. 2^32 - 1`.
    counts: of each letter, at least 1.
  """
  letters = np.asarray(letters, np.int64)
  listed, head, cells = _alphabet(letters)
  n = int(counts.sum())
  entropy = float(counts @ -np.log2(counts / n))
  shares = counts / counts.max()
  best: tuple[Any, ...] = (np.inf,)
  for width in range(2, 11):
    for mantissa in range(0, min(width, 6)):
      if entropy + cells * width >= best[0]:
        break
      highest, between, values, logs = _bounds(width, mantissa)
      codes = between.searchsorted(shares * highest) + 1
      total = n * math.log2(values[codes].sum()) - float(counts @ logs[codes])
      total += cells * width
      if total < best[0]:
        best = (total, width, mantissa, codes)
  _, width, mantissa, codes = best
  table = Table(letters, _values(width, mantissa)[codes])
  if not listed:
    full = np.zeros(cells, np.int64)
    full[letters - letters[0]] = codes
    codes = full
  kind = bytes([listed << 7 | (width - 1) << 3 | mantissa])
  return table, kind + head + bits.pack(codes, width)


def read(reader: wire.Reader) -> Table:
  """Reads a record of `fit`; a table that cannot be is a `ValueError`."""
  kind = reader.byte()
  listed, width, mantissa = kind >> 7, (kind >> 3 & 15) + 1, kind & 7
  if not (2 <= width <= 10 and mantissa < min(width, 6)):
    raise ValueError(f'Damaged {reader.what}: a table of kind {kind}.')
  first, count = reader.varint(), reader.varint()
  if not 1 <= count <= 8 * reader.left():
    raise ValueError(f'Damaged {reader.what}: a table of {count} letters.')
  if listed:
    gap = reader.byte()
    data = reader.take(bits.packed_size(count - 1, gap))
    gaps = bits.unpack(data, count - 1, gap).astype(np.int64) + 1
    letters = first + np.concatenate([[0], np.cumsum(gaps)])
  else:
    letters = first + np.arange(count, dtype=np.int64)
  codes = bits.unpack(reader.take(bits.packed_size(count, width)), count, width)
  letters, codes = letters[codes > 0], codes[codes > 0]
  weights = _values(width, mantissa)[codes]
  if not letters.size or first > MAX_LETTER or letters[-1] > MAX_LETTER:
    raise ValueError(f'Damaged {reader.what}: a table with impossible letters.')
  if weights.max() > MAX_WEIGHT:
    raise ValueError(f'Damaged {reader.what}: a weight beyond {MAX_WEIGHT}.')
  return Table(letters, weights)


def _alphabet(letters):
  """Whether letters are listed or a range; the head; how many cells follow."""
  first, count = int(letters[0]), len(letters)
  span = int(letters[-1]) - first + 1
  gap = bits.width(int(np.diff(letters).max()) - 1) if count > 1 else 1
  if count * (gap + 4) + 8 < span * 4:
    head = wire.varint(first) + wire.varint(count) + bytes([gap])
    return 1, head + bits.pack(np.diff(letters) - 1, gap), count
  return 0, wire.varint(first) + wire.varint(span), span


@functools.cache
def _values(width, mantissa):
  codes = np.arange(1 << width, dtype=np.int64)
  one = 1 << mantissa
  shift = np.maximum(codes // one - 1, 0)
  large = np.ldexp((one + codes % one).astype(np.float64), shift)
  return _shared(np.where(codes < 2 * one, codes.astype(np.float64), large))


@functools.cache
def _bounds(width, mantissa):
  """The highest value, where those below it are as near as the next; all."""
  values = _values(width, mantissa)
  values = values[values <= MAX_WEIGHT]
  between = _shared(np.sqrt(values[1:-1] * values[2:]))
  logs = np.log2(np.maximum(values, 1))
  return float(values[-1]), between, values, _shared(logs)


def _shared(x):
  x.flags.writeable = False
  return x

"""Positions of the nonzeros as gaps.

A field holds the distance to the position before, less one; the first counts
from -1. A field has `p` bits; a distance beyond `2^p` is bridged by fillers,
each of which stands for `2^p` places. In the paper's layout (convention of the
released decoder) a filler is the field `2^p - 1` at a place of its own, told
from a real entry by the value zero: then every position is a cumulative sum.
In a stream of its own, where no values stand beside the fields, a filler is the
extra letter `2^p`.

References:
  Han, Mao, Dally, "Deep Compression", 2016, arXiv:1510.00149, section 2.
"""

import numpy as np
from jaxtyping import Bool, Int64, Integer

from jcompress.code import ans, bits, huffman, streams, wire

_BITS = range(1, 13)
_TRIED = 4


def to_fields(
  positions: Integer[np.ndarray, ' n'], p: int
) -> tuple[Int64[np.ndarray, ' m'], Bool[np.ndarray, ' m']]:
  """Fields of `p` bits, and which of them are fillers.

  >>> to_fields(np.array([1, 4, 15]), 3)[0]
  array([1, 2, 7, 2])

  Args:
    positions: increasing, from 0.
    p: bits of a field.
  """
  distance = _distances(positions)
  fillers = distance >> p
  ends = np.cumsum(fillers + 1) - 1
  fields = np.full(len(distance) + int(fillers.sum()), (1 << p) - 1, np.int64)
  fields[ends] = distance & ((1 << p) - 1)
  is_filler = np.ones(len(fields), bool)
  is_filler[ends] = False
  return fields, is_filler


def to_positions(fields: Integer[np.ndarray, ' m']) -> Int64[np.ndarray, ' m']:
  """The place of every field, fillers included.

  >>> to_positions(np.array([1, 2, 7, 2]))
  array([ 1,  4, 12, 15])
  """
  return np.cumsum(np.asarray(fields, np.int64) + 1) - 1


def encode(positions: Integer[np.ndarray, ' n'], coder: str = 'auto') -> bytes:
  """Writes increasing positions, with the field width that costs least.

  Raises:
    ValueError: an unknown coder.
  """
  distances, counts = streams.histogram(_distances(positions))
  letters = {p: _letters(distances, counts, p) for p in _BITS}
  if coder in ('auto', 'ans', 'context'):
    return _record(positions, _least(letters), coder)
  order = sorted(_BITS, key=lambda p: _estimate(letters[p], p, coder))
  tried = order[: _TRIED if coder in ('zstd', 'fast') else 1]
  return min((_record(positions, p, coder) for p in tried), key=len)


def decode(record: bytes, size: int) -> Int64[np.ndarray, ' n']:
  """Inverts `encode`.

  Args:
    record: what it wrote.
    size: the positions must be below.

  Raises:
    ValueError: the record is damaged.
  """
  reader = wire.Reader(record, 'gap stream')
  p, n = reader.byte(), reader.varint()
  if p not in _BITS or n > size:
    raise ValueError(
      f'Damaged gap stream: {n} fields of {p} bits for {size} places.'
    )
  fields = streams.decode_stream(reader.rest(), n)
  if n and int(fields.max()) > 1 << p:
    raise ValueError(f'Damaged gap stream: a field beyond 2^{p}.')
  is_filler = fields == 1 << p
  steps = fields.astype(np.int64)
  steps += 1
  steps -= is_filler
  positions = np.cumsum(steps, out=steps) - 1
  if is_filler.any():
    positions = positions[~is_filler]
  if positions.size and int(positions[-1]) >= size:
    raise ValueError(
      f'Damaged gap stream: position {positions[-1]} of {size} places.'
    )
  return positions


def _record(positions, p, coder):
  fields, is_filler = to_fields(positions, p)
  fields[is_filler] = 1 << p
  record = streams.encode_stream(fields, coder)
  return bytes([p]) + wire.varint(len(fields)) + record


def _distances(positions):
  return np.diff(np.asarray(positions, np.int64), prepend=-1) - 1


def _letters(distances, counts, p):
  """Those of the fields of `p` bits, and how often each comes."""
  fields = np.bincount(distances & ((1 << p) - 1), counts, (1 << p) + 1)
  fields[1 << p] = int((distances >> p) @ counts)
  letters = np.flatnonzero(fields)
  return letters, fields[letters].astype(np.int64)


def _least(letters):
  """The width at which fields are shortest at their entropy, with a table."""
  entropies = sorted(
    (float(counts @ -np.log2(counts / max(1, counts.sum()))) / 8, p)
    for p, (_, counts) in letters.items()
  )
  best = np.inf, 1
  for entropy, p in entropies:
    if entropy > best[0]:
      break
    few = len(letters[p][0]) < 2
    best = min(best, (0.0 if few else ans.estimate(*letters[p]), p))
  return best[1]


def _estimate(found, p, coder):
  """Bytes of the fields of `p` bits under a coder, about."""
  letters, counts = found
  if len(letters) < 2:
    return 0.0
  raw = counts.sum() * bits.width(int(letters[-1])) / 8
  if coder == 'raw':
    return raw
  if coder == 'huffman':
    return huffman.estimate(letters, counts) if huffman.fits(letters) else raw
  a_byte = huffman.estimate(letters, counts) if p < 8 else np.inf
  return min(a_byte, raw) if coder == 'fast' or p > 7 else a_byte

"""Masks: which entries of an array are kept, in the smallest of four ways.

`gaps` (distances between the kept entries), `context` (each entry under the
density of its row and column), `adaptive` (each under the entries around it),
and plain bits. A mask of `n` entries takes at
least `n / 65536` bytes, see `streams`.
"""

import numpy as np
from jaxtyping import Bool

from jcompress.code import adaptive, bits, context, sparse, streams, wire

_BITS, _GAPS, _CONTEXT, _ADAPTIVE, _PADDED = 0, 1, 2, 3, 128
_LARGE, _CLEARLY = 1 << 16, 0.99


def encode(
  mask: Bool[np.ndarray, '*shape'],
  coder: str = 'auto',
  neighbours: bool = True,
) -> bytes:
  """Writes a mask; its shape is known to the reader.

  Args:
    mask: rows are all axes but the last, columns the last.
    coder: see `streams.encode_stream`; with 'auto' and 'ans' the model of rows
      and columns takes part, with 'auto' and 'context' that of neighbours.
    neighbours: whether it may.

  Raises:
    ValueError: an unknown coder.
  """
  flat = mask.reshape(-1)
  gaps = sparse.encode(np.flatnonzero(flat), coder)
  records = [bytes([_GAPS]) + gaps]
  if bits.packed_size(flat.size, 1) < len(gaps):
    records.append(bytes([_BITS]) + bits.pack(flat.view(np.uint8), 1))
  tried = None
  if coder in ('auto', 'context') and neighbours:
    tried = adaptive.encode(mask.view(np.uint8))
  if tried is not None:
    records.append(bytes([_ADAPTIVE]) + tried)
  done = flat.size > _LARGE and tried and len(tried) < _CLEARLY * len(gaps)
  if coder in ('auto', 'ans') and flat.size and not done:
    rows, columns = _matrix(mask.shape)
    levels = context.encode(mask.reshape(rows, columns))
    records += [bytes([_CONTEXT]) + levels] if levels else []
  return _padded(min(records, key=len), flat.size)


def encode_likely(
  mask: Bool[np.ndarray, '*shape'], most: float
) -> bytes | None:
  """A mask of which nothing repeats itself, or `None`.

  Args:
    mask: of at least one entry.
    most: bytes; where the model of rows and columns is far from it, there is no
      record.
  """
  record = context.encode(mask.reshape(_matrix(mask.shape)), most)
  return record and _padded(bytes([_CONTEXT]) + record, mask.size)


def decode(record: bytes, shape: tuple[int, ...]) -> Bool[np.ndarray, '*shape']:
  """Inverts `encode`.

  Raises:
    ValueError: the record is damaged, or is not a mask of this shape.
  """
  rows, columns = _matrix(shape)
  size = rows * columns
  streams.check_count(size, len(record), 'mask')
  reader = wire.Reader(record, 'mask')
  kind = reader.byte()
  if kind & _PADDED:
    reader.take(reader.varint())
  kind &= ~_PADDED
  if kind == _BITS:
    return bits.unpack(reader.rest(), size, 1).astype(bool).reshape(shape)
  if kind == _GAPS:
    mask = np.zeros(size, bool)
    mask[sparse.decode(reader.rest(), size)] = True
    return mask.reshape(shape)
  if kind == _ADAPTIVE:
    found = adaptive.decode(reader.rest(), shape)
    if size and found.max() > 1:
      raise ValueError(f'Damaged mask: an entry of {found.max()}.')
    return found.astype(bool)
  if kind == _CONTEXT and size:
    return context.decode(reader.rest(), rows, columns).reshape(shape)
  raise ValueError(f'Unknown kind of mask {kind}: a newer file?')


def _padded(record, size):
  short = -(-size // streams.SYMBOLS_A_BYTE) - len(record)
  if short <= 0:
    return record
  head = bytes([record[0] | _PADDED]) + wire.varint(short)
  return head + b'\0' * short + record[1:]


def _matrix(shape):
  columns = shape[-1] if shape else 1
  rows = 1
  for n in shape[:-1]:
    rows *= n
  return rows, columns

"""A mask under a model of its rows and columns.

Pruning empties whole rows (border pixels, dead units) and thins others, so that
the entries of a mask `[rows, columns]` are far from equally likely. Each row
and each column gets a small level, and the entry `(i, j)` is coded with the
probability of the group `row_level[i] + column_level[j]`: log-odds that add,
the logistic model of rank one. Levels and group probabilities travel as
integers; the logarithms that chose them are the writer's business only. Level 0
is an empty row or column, whose entries cost nothing.

References:
  Rissanen, "A universal prior for integers and estimation by minimum
  description length", 1983: the levels pay for themselves or are left out.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Integer

from jcompress.code import ans, streams, wire

_STEPS = (0.3, 0.45, 0.7, 1.0)
_MAX_LEVEL = 60
_FAR = 1.02  # steps differ by less
_ROWS, _COLUMNS, _ROW_STEPS, _COLUMN_STEPS = 1, 2, 4, 8


class _Levels(NamedTuple):
  of_each: Integer[np.ndarray, ' n']
  are_steps: bool  # whether steps from one to the next are shorter
  bits: float  # about, of what is written


def encode(
  mask: Bool[np.ndarray, 'rows columns'], most: float = math.inf
) -> bytes | None:
  """Writes a mask of at least one entry.

  `None` where levels of one step say that it is far from `most` bytes.
  """
  axes = (_ROWS, _COLUMNS, _ROWS | _COLUMNS) if min(mask.shape) > 1 else ()
  row, column = np.count_nonzero(mask, 1), np.count_nonzero(mask, 0)

  @functools.cache
  def levels(axis, step):
    counts, width = (row, len(column)) if axis == _ROWS else (column, len(row))
    return _levels(counts, width, step)

  def plan(axes, step):
    both = [levels(a, step if axes & a else None) for a in (_ROWS, _COLUMNS)]
    bits = _bits(mask, row, column, axes, *(x.of_each for x in both))
    return bits + sum(x.bits for x in both), axes, both

  plans = [plan(0, None), *(plan(a, _STEPS[0]) for a in axes)]
  if min(plans, key=lambda p: p[0])[0] > 8 * _FAR * most:
    return None
  plans += [plan(a, s) for a in axes for s in _STEPS[1:]]
  _, axes, both = min(plans, key=lambda p: p[0])
  head = _head(axes, both)
  order, sizes = _groups(*(x.of_each for x in both))
  flat = mask.reshape(-1)[order].astype(np.int32)
  parts = np.split(flat, np.cumsum(sizes)[:-1])
  codes = [_probability(int(p.sum()), len(p)) for p in parts if len(p)]
  groups = [
    (p, _weights(c))
    for p, c in zip([p for p in parts if len(p)], codes, strict=True)
  ]
  return head + bytes(codes) + ans.pack_groups(groups)


def decode(record: bytes, rows: int, columns: int) -> Bool[np.ndarray, 'r c']:
  """Inverts `encode`.

  The caller has checked `rows * columns` against the length of the file.

  Raises:
    ValueError: the record is damaged.
  """
  reader = wire.Reader(record, 'mask')
  kind = reader.byte()
  row = _read_levels(reader, rows, kind & _ROWS, kind & _ROW_STEPS)
  column = _read_levels(reader, columns, kind & _COLUMNS, kind & _COLUMN_STEPS)
  order, counts = _groups(row, column)
  sizes = [n for n in counts.tolist() if n]
  codes = reader.take(len(sizes))
  groups = [(n, _weights(c)) for n, c in zip(sizes, codes, strict=True)]
  parts = ans.unpack_groups(reader.rest(), groups, 'mask')
  out = np.zeros(rows * columns, bool)
  if parts:
    out[order] = np.concatenate(parts)
  return out.reshape(rows, columns)


def _bits(mask, row, column, axes, a, b):
  """What the entries cost, their groups' probabilities included.

  Args:
    mask: `[rows, columns]`.
    row: how many are kept in each row.
    column: and in each column.
    axes: which of the two have levels.
    a: levels of the rows.
    b: and of the columns.
  """
  ones = np.zeros((64, 64))
  if axes == _ROWS | _COLUMNS:
    by_row = np.zeros((64, len(column)), np.int64)
    order = np.argsort(a, kind='stable')
    present, starts = np.unique(a[order], return_index=True)
    by_row[present] = np.add.reduceat(mask[order], starts, 0, np.int32)
    for i in present:
      ones[i] = np.bincount(b, by_row[i], 64)
  elif axes == _COLUMNS:
    ones[1] = np.bincount(b, column, 64)
  else:
    ones[:, 1] = np.bincount(a, row, 64)
  total = np.outer(np.bincount(a, minlength=64), np.bincount(b, minlength=64))
  level = np.add.outer(np.arange(64), np.arange(64))[1:, 1:].reshape(-1)
  n = np.bincount(level, total[1:, 1:].reshape(-1)).astype(np.int64)
  k = np.bincount(level, ones[1:, 1:].reshape(-1)).astype(np.int64)
  p = np.clip(k / np.maximum(n, 1), 1e-5, 1 - 1e-5)
  cost = -(k * np.log2(p) + (n - k) * np.log2(1 - p)).sum()
  return float(cost) + 8 * np.count_nonzero(n)


def _head(axes, both):
  """The kind of the levels, and they or the steps between them."""
  kind, parts = axes, []
  for x, axis, by_steps in zip(
    both, (_ROWS, _COLUMNS), (_ROW_STEPS, _COLUMN_STEPS), strict=True
  ):
    if axes & axis:
      kind |= by_steps * x.are_steps
      record = streams.encode_stream(_written(x.of_each, x.are_steps))
      parts.append(wire.prefixed(record))
  return bytes([kind]) + b''.join(parts)


def _written(levels, are_steps):
  return _zigzag(np.diff(levels, prepend=0)) if are_steps else levels


def _levels(counts, width, step):
  """Log-odds of each row (or column) in steps, from 1; 0 where it is empty."""
  if step is None:
    return _Levels(np.ones(len(counts), np.int64), False, 0.0)
  logits = np.log((counts + 0.5) / (width - counts + 0.5))
  used = counts > 0
  out = np.zeros(len(counts), np.int64)
  if used.any():
    level = np.round(logits / step).astype(np.int64)
    level -= level[used].min() - 1
    out[used] = np.minimum(level[used], _MAX_LEVEL)
  plain, steps = (streams.estimate(_written(out, x)) for x in (False, True))
  return _Levels(out, steps < plain, 8 * min(plain, steps))


def _read_levels(reader, size, stored, by_steps):
  if not stored:
    return np.ones(size, np.int64)
  levels = streams.decode_stream(reader.prefixed(), size).astype(np.int64)
  if by_steps:
    levels = np.cumsum((levels >> 1) ^ -(levels & 1))
  if size and not 0 <= levels.min() <= levels.max() <= _MAX_LEVEL:
    raise ValueError(f'Damaged mask: a level beyond {_MAX_LEVEL}.')
  return levels


def _zigzag(values):
  return (values << 1) ^ (values >> 63)


def _groups(row, column) -> tuple[np.ndarray, Integer[np.ndarray, ' levels']]:
  """Entries of non-empty rows and columns by group, and the groups' sizes."""
  row_used, column_used = np.flatnonzero(row), np.flatnonzero(column)
  level = np.add.outer(
    row[row_used].astype(np.uint8), column[column_used].astype(np.uint8)
  ).reshape(-1)
  order = np.argsort(level, kind='stable')
  places = np.add.outer(row_used * len(column), column_used).reshape(-1)
  return places[order], np.bincount(level)


def _probability(ones: int, n: int) -> int:
  """A byte for the probability of a one: flip, exponent, 3 bits mantissa."""
  flip = 2 * ones > n
  few = max(n - ones if flip else ones, n * 2.0**-15)
  exponent = max(0, int(np.floor(-np.log2(few / n))))
  mantissa = round((few / n * 2 ** (exponent + 1) - 1) * 8)
  return flip << 7 | min(exponent, 15) << 3 | min(mantissa, 7)


def _weights(code: int) -> np.ndarray:
  flip, exponent, mantissa = code >> 7, code >> 3 & 15, code & 7
  few = 8.0 + mantissa
  pair = np.array([2.0 ** (exponent + 4) - few, few])
  return pair[::-1].copy() if flip else pair

"""Codes of weights, of which one may be far commoner than the others.

Written flat, as one stream; split: where the codes stand that are not the
commonest one, and which they are; or joint: all under a model of neighbours.
The positions of the weights that pruning left have structure (whole rows and
columns are gone), of which a stream of codes knows nothing.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from jcompress.code import (
  adaptive,
  adaptive_model,
  frames,
  masks,
  streams,
  wire,
)

FLAT, SPLIT, JOINT = WAYS = range(3)
_LARGE, _LONG, _CLEARLY = 1 << 16, 1 << 11, 0.99  # entries, bytes, share
_WORTH, _MUCH = 0.9995, 0.15  # shares
_BIAS, _AROUND, _TINY = 0.7, 5, 1 << 10  # bits, bytes, entries


def encode(
  codes: Integer[np.ndarray, '*shape'],
  coder: str = 'auto',
  zero: int | None = None,
  ranks: Integer[np.ndarray, ' k'] | None = None,
) -> tuple[int, bytes]:
  """Writes codes; their shape is known to the reader.

  Args:
    codes: each in `0 .. 2^32 - 1`.
    coder: see `streams.encode_stream`; 'auto' and 'context' use the model of
      neighbours, 'context' wherever it can.
    zero: the code whose weight is 0 or nearest to it, if there is one.
    ranks: of each code among the weights, a permutation of `0 .. k - 1`, if
      codes do not rise with their weights.

  Returns:
    One of `WAYS`, and the record.

  Raises:
    ValueError: an unknown coder, or a code out of range.
  """
  codes = np.ascontiguousarray(codes)
  joint: Any = None
  has_sides = False
  flat = codes.reshape(-1)
  letters, counts = streams.histogram(flat)
  if coder in ('auto', 'context') and len(letters) > 1:
    joint, lost = _encode_joint(codes, zero, ranks, letters, counts)
    has_sides = bool(joint) and lost > (1 - _CLEARLY) * len(joint)
  if joint and coder == 'context':
    return JOINT, joint
  if joint:
    record: Any = streams.shorter(flat, letters, counts, len(joint))
  else:
    record = streams.encode_stream(flat, coder)
  best = FLAT, record
  if joint and (record is None or len(joint) < len(record)):
    best = JOINT, joint
    is_clear = record is None or len(joint) < _CLEARLY * len(record)
    if (
      codes.size > _LARGE and len(joint) > _LONG and is_clear and not has_sides
    ):
      return best
  if len(letters) < 2 or 4 * counts.max() < codes.size:
    return best
  common = int(letters[counts.argmax()])
  mask = np.asarray(codes != common)
  kept = codes[mask]
  kept -= kept > common
  if joint and not has_sides:
    positions = _positions(mask, kept, _WORTH * len(best[1]))
  else:
    positions = masks.encode(mask, coder)
  if positions is None:
    return best
  split = wire.varint(common) + wire.prefixed(positions)
  split += streams.encode_stream(kept, coder)
  return (SPLIT, split) if len(split) < len(best[1]) else best


def decode(
  reader: wire.Reader,
  way: int,
  shape: tuple[int, ...],
  ranks: Integer[np.ndarray, ' k'] | None = None,
) -> Integer[np.ndarray, '*shape']:
  """Reads the rest of a record as codes, in uint8 or uint32.

  Raises:
    ValueError: the record is damaged, or does not hold codes of this shape.
  """
  if way == FLAT:
    return streams.decode_stream(reader.rest(), math.prod(shape)).reshape(shape)
  if way == JOINT:
    return _decode_joint(reader, shape, ranks)
  common = reader.varint()
  mask = masks.decode(reader.prefixed(), shape)
  kept = streams.decode_stream(reader.rest(), int(np.count_nonzero(mask)))
  kept = kept.astype(np.int64)  # one more than 255 is not a uint8
  kept += kept >= common
  largest = max(common, int(kept.max()) if kept.size else 0)
  if largest > 0xFFFFFFFF:
    raise ValueError(f'Damaged {reader.what}: {largest} is not a code.')
  codes = np.full(shape, common, np.uint8 if largest < 256 else np.uint32)
  codes[mask] = kept
  return codes


def check(codes: Integer[np.ndarray, '*shape'], k: int, what: str) -> None:
  """Refuses codes that are not those of `k` centers, by a `ValueError`."""
  low, high = (int(codes.min()), int(codes.max())) if codes.size else (0, 0)
  if codes.size and not 0 <= low <= high < k:
    raise ValueError(
      f'{what} has codes in {low} .. {high} and {k} centers: codes must be in '
      f'0 .. {k - 1}.'
    )


def typed(
  symbols: Integer[np.ndarray, '*shape'], low: int, dtype: np.dtype, what: str
) -> Integer[np.ndarray, '*shape']:
  """Symbols from `low` on as integers of a dtype.

  Raises:
    ValueError: they do not fit into it.
  """
  high = low + (int(symbols.max()) if symbols.size else 0)
  limits = jnp.iinfo(dtype)
  if not int(limits.min) <= low <= high <= int(limits.max):
    raise ValueError(f'Damaged {what}: codes {low} .. {high} are not {dtype}.')
  if low:
    symbols = np.asarray(symbols.astype(np.int32) + low)
  return symbols.astype(dtype, copy=False)


def _positions(mask, kept, best):
  """The mask of codes that are split.

  `None` where they are not likely to be shorter than so many bytes. What rows
  and columns tell of the mask together is taken to be the sum of what each
  tells, or twice that where it is much.
  """
  rows = mask.reshape(-1, mask.shape[-1])
  whole = _entropy(np.array([np.count_nonzero(rows)]), rows.size)
  gain = 0.0
  for axis in (0, 1):
    counts = np.count_nonzero(rows, axis)
    each = _entropy(counts, rows.shape[axis]) + _BIAS * len(counts)
    gain += max(0.0, whole - each)
  gain *= 1 if gain < _MUCH * whole else 2
  least, others = (whole - gain) / 8, streams.estimate(kept)
  parts = (least, np.packbits(mask)), (others, kept.astype(np.uint8))
  repeats = any(len(frames.quick(data.tobytes())) < x for x, data in parts)
  if repeats or mask.size <= _TINY:
    return masks.encode(mask, neighbours=False)
  room = best - _AROUND - others
  return masks.encode_likely(mask, room) if least < room else None


def _entropy(counts, n):
  """Bits of rows of `n` entries with so many ones each."""
  p = np.clip(counts / n, 1e-9, 1 - 1e-9)
  return -float((n * (p * np.log2(p) + (1 - p) * np.log2(1 - p))).sum())


def _encode_joint(codes, zero, ranks, letters, counts):
  """The record, and about the bytes that it takes for sides of sizes."""
  if letters[-1] > 2 * adaptive_model.MOST:
    return None, 0.0
  if ranks is not None:
    narrow = ranks.astype(np.min_scalar_type(len(ranks)))
    codes, letters, zero = narrow[codes], ranks[letters], int(ranks[zero])
  each = np.zeros(int(letters.max()) + 1, np.int64)
  each[letters] = counts
  zero = adaptive.center(each, zero)
  return adaptive.encode(codes, zero, each), _lost(each, zero)


def _lost(counts, zero):
  """Bytes by which signs alone are longer than signs of known sizes.

  The model of neighbours does not know the size when it codes the sign, so that
  it pays for those of codes of which one side of the zero is rare.
  """
  most = min(zero, len(counts) - 1 - zero)
  above = counts[zero + 1 : zero + 1 + most]
  both = above + counts[zero - most : zero][::-1]
  above, both = above[both > 0], both[both > 0]
  if not len(both):
    return 0.0
  alone = _entropy(np.array([above.sum()]), both.sum())
  return (alone - _entropy(above, both)) / 8


def _decode_joint(reader, shape, ranks):
  symbols = adaptive.decode(reader.rest(), shape)
  if ranks is None:
    return symbols
  if symbols.size and int(symbols.max()) >= len(ranks):
    raise ValueError(
      f'Damaged {reader.what}: code {symbols.max()} of {len(ranks)} centers.'
    )
  back = np.argsort(ranks).astype(np.uint8 if len(ranks) <= 256 else np.uint32)
  return back[symbols]

"""Codes of weights, of which one may be far commoner than the others.

Written flat, as one stream, or split: where the codes stand that are not the
commonest one, and which they are. The positions of the weights that pruning
left have structure (whole rows and columns are gone), of which a stream of
codes knows nothing.
"""

import math

import numpy as np
from jaxtyping import Integer

from jcompress.code import masks, streams, wire


def encode(
  codes: Integer[np.ndarray, '*shape'], coder: str = 'auto'
) -> tuple[bool, bytes]:
  """Writes codes; their shape is known to the reader.

  Args:
    codes: each in `0 .. 2^32 - 1`.
    coder: see `streams.encode_stream`.

  Returns:
    Whether they are split, and the record.

  Raises:
    ValueError: an unknown coder, or a code out of range.
  """
  codes = np.ascontiguousarray(codes)
  flat = streams.encode_stream(codes.reshape(-1), coder)
  letters, counts = streams.histogram(codes.reshape(-1))
  if len(letters) < 2 or 4 * counts.max() < codes.size:
    return False, flat
  common = int(letters[counts.argmax()])
  mask = np.asarray(codes != common)
  kept = codes[mask]
  split = wire.varint(common) + wire.prefixed(masks.encode(mask, coder))
  split += streams.encode_stream(kept - (kept > common), coder)
  return (True, split) if len(split) < len(flat) else (False, flat)


def decode(
  reader: wire.Reader, split: bool, shape: tuple[int, ...]
) -> Integer[np.ndarray, '*shape']:
  """Reads the rest of a record as codes, in uint8 or uint32.

  Raises:
    ValueError: the record is damaged, or does not hold codes of this shape.
  """
  if not split:
    return streams.decode_stream(reader.rest(), math.prod(shape)).reshape(shape)
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

"""Which weights of a layer are left, as a picture."""

import base64
import math
import struct
import zlib

import numpy as np

_LEVELS = 17
_COLOR = 0x3B, 0x82, 0xC4  # on white and on black
_ROOM = 400  # pixels, at most, on a side


def of_mask(mask: np.ndarray) -> np.ndarray:
  """The shares of weights that are left, in the shape of a picture.

  The outputs of a layer go down and its inputs across, each a pixel; of more
  than 400, neighbours share one. Filters lie beside each other, a row of them
  for each output, with a gap, as many as there is room for.

  Args:
    mask: true where a weight is left, `[inputs, outputs]` or
      `[height, width, inputs, outputs]`.

  Returns:
    `[down, across]`, from 0 to 1; NaN in gaps.

  Raises:
    ValueError: a mask of another number of axes.
  """
  if mask.ndim == 2:
    return _smaller(mask.T.astype(np.float64))
  if mask.ndim != 4:
    raise ValueError(f'The mask has {mask.ndim} axes; there must be 2 or 4.')
  high, wide, inputs, outputs = mask.shape
  several = inputs if inputs > 1 else math.ceil(math.sqrt(2 * outputs))
  across = min(several, max(1, _ROOM // (wide + 1)))
  down = min(math.ceil(inputs * outputs / several), max(1, _ROOM // (high + 1)))
  filters = mask.transpose(3, 2, 0, 1)
  filters = filters[:, :across] if inputs > 1 else filters
  filters = filters.reshape(-1, high, wide)[: across * down]
  tiles = np.full((down * across, high + 1, wide + 1), np.nan)
  tiles[: len(filters), :high, :wide] = filters
  tiles = tiles.reshape(down, across, high + 1, wide + 1)
  picture = tiles.transpose(0, 2, 1, 3).reshape(down * (high + 1), -1)
  return picture[:-1, :-1]


def png(shares: np.ndarray) -> bytes:
  """A picture of shares: what is left is blue, the rest transparent.

  Args:
    shares: `[down, across]`, from 0 to 1; NaN is transparent.
  """
  down, across = shares.shape
  codes = np.round(np.nan_to_num(shares) * (_LEVELS - 1)).astype(np.uint8)
  lines = np.pad(codes, ((0, 0), (1, 0))).tobytes()
  opacity = bytes(round(255 * i / (_LEVELS - 1)) for i in range(_LEVELS))
  chunks = (
    (b'IHDR', struct.pack('>2I5B', across, down, 8, 3, 0, 0, 0)),
    (b'PLTE', bytes(_COLOR) * _LEVELS),
    (b'tRNS', opacity),
    (b'IDAT', zlib.compress(lines)),
    (b'IEND', b''),
  )
  packed = b''.join(
    struct.pack('>I', len(body))
    + name
    + body
    + struct.pack('>I', zlib.crc32(name + body))
    for name, body in chunks
  )
  return b'\x89PNG\r\n\x1a\n' + packed


def source(shares: np.ndarray) -> str:
  """The same as the address of an image that needs no file."""
  return f'data:image/png;base64,{base64.b64encode(png(shares)).decode()}'


def _smaller(values):
  """Means of blocks, so that no side is longer than there is room."""
  for axis in (0, 1):
    size = values.shape[axis]
    each = math.ceil(size / _ROOM)
    starts = np.arange(0, size, each)
    counts = np.diff(np.append(starts, size))
    sums = np.add.reduceat(values, starts, axis)
    values = sums / np.expand_dims(counts, 1 - axis)
  return values

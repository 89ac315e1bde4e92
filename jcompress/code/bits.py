"""Unsigned integers of one to 32 bits, packed without gaps.

Value `i` of width `w` occupies the bits `i * w .. (i + 1) * w - 1` of the
stream, low bits first, bytes in little-endian order; so eight values fill
exactly `w` bytes.
"""

import numpy as np
from jaxtyping import Integer, UInt32

_CHUNK = 1 << 19


def width(largest: int) -> int:
  """Bits that hold `0 .. largest`, at least one."""
  return max(1, int(largest).bit_length())


def packed_size(n: int, width: int) -> int:
  """Bytes of `n` values of `width` bits."""
  return (n * width + 7) // 8


def pack(values: Integer[np.ndarray, ' n'], width: int) -> bytes:
  """Packs values of `width` bits.

  Args:
    values: each in `0 .. 2^width - 1`.
    width: 1 to 32.

  Raises:
    ValueError: the width is out of range, or a value does not fit in it.
  """
  _check_width(width)
  values = np.asarray(values)
  if values.size and not 0 <= values.min() <= values.max() < 1 << width:
    raise ValueError(
      f'Values in {values.min()} .. {values.max()} do not fit in {width} bits.'
    )
  if width in (8, 16, 32):
    return values.astype(f'<u{width // 8}').tobytes()
  parts = [
    _pack(values[i : i + _CHUNK], width) for i in range(0, values.size, _CHUNK)
  ]
  return b''.join(parts)


def unpack(data: bytes, n: int, width: int) -> UInt32[np.ndarray, ' n']:
  """Inverts `pack`.

  Args:
    data: what `pack` gave.
    n: how many values it holds.
    width: 1 to 32.

  Raises:
    ValueError: `data` has not exactly the length of `n` values.
  """
  _check_width(width)
  if n < 0 or len(data) != packed_size(n, width):
    raise ValueError(
      f'{len(data)} bytes cannot hold {n} values of {width} bits: that takes '
      f'{packed_size(max(n, 0), width)}.'
    )
  if width in (8, 16, 32):
    return np.frombuffer(data, f'<u{width // 8}').astype(np.uint32)
  out = np.empty(n, np.uint32)
  for i in range(0, n, _CHUNK):
    stop = min(n, i + _CHUNK)
    start = i // 8 * width
    part = data[start : start + packed_size(stop - i, width)]
    out[i:stop] = _unpack(part, stop - i, width)
  return out


def _check_width(width: int) -> None:
  if not 1 <= width <= 32:
    raise ValueError(f'{width} bits a value: it must be 1 to 32.')


def _pack(values, width):
  n, groups, words = len(values), -(-len(values) // 8), -(-width // 8)
  rows = np.zeros(groups * 8, np.uint64)
  rows[:n] = values
  rows = rows.reshape(groups, 8)
  out = np.zeros((groups, words), '<u8')
  for i in range(8):
    word, shift = divmod(i * width, 64)
    out[:, word] |= rows[:, i] << np.uint64(shift)
    if shift + width > 64:
      out[:, word + 1] |= rows[:, i] >> np.uint64(64 - shift)
  flat = out.view(np.uint8).reshape(groups, words * 8)[:, :width]
  return flat.tobytes()[: packed_size(n, width)]


def _unpack(data, n, width):
  groups, words = -(-n // 8), -(-width // 8)
  padded = np.zeros(groups * width, np.uint8)
  padded[: len(data)] = np.frombuffer(data, np.uint8)
  rows = np.zeros((groups, words * 8), np.uint8)
  rows[:, :width] = padded.reshape(groups, width)
  rows = rows.view('<u8')
  out = np.empty((groups, 8), np.uint32)
  mask = np.uint64((1 << width) - 1)
  for i in range(8):
    word, shift = divmod(i * width, 64)
    part = rows[:, word] >> np.uint64(shift)
    if shift + width > 64:
      part = part | rows[:, word + 1] << np.uint64(64 - shift)
    out[:, i] = part & mask
  return out.reshape(-1)[:n]

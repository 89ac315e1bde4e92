"""Streams of unsigned symbols, each under the coder that makes it smallest.

A record is one byte (the coder; for `raw` the width too) and what the coder
wrote. How many symbols it holds is known to the caller. A record of `b` bytes
never holds more than `65536 * (b + 1)` symbols: longer ones are padded, so that
a reader can refuse a count that lies before it allocates anything.
"""

import types

import numpy as np
from jaxtyping import Integer

from jcompress.code import ans, bits, frames, huffman, limits, wire

CODERS = ('raw', 'huffman', 'zstd', 'ans', 'context', 'fast')
SYMBOLS_A_BYTE = frames.SYMBOLS_A_BYTE
_CONSTANT, _RAW, _HUFFMAN, _ZSTD, _ANS, _ZSTD_HUFFMAN = range(6)
_NAMES = {'raw': _RAW, 'huffman': _HUFFMAN, 'zstd': _ZSTD, 'ans': _ANS}
_SEVERAL = types.MappingProxyType(
  {'zstd': (_ZSTD, _ZSTD_HUFFMAN), 'fast': (_RAW, _ZSTD_HUFFMAN)}
)
_ARRAYS = types.MappingProxyType({'context': 'auto', 'fast': 'zstd'})
_SLACK = 16


def check_coder(coder: str) -> None:
  """Refuses a coder that is neither 'auto' nor known, by a `ValueError`."""
  if coder != 'auto' and coder not in CODERS:
    raise ValueError(
      f'Unknown coder {coder!r}: it must be one of {("auto", *CODERS)}.'
    )


def for_arrays(coder: str) -> str:
  """The coder of arrays that are no codes: numbers that nothing rounded."""
  return _ARRAYS.get(coder, coder)


def check_count(n: int, size: int, what: str) -> None:
  """Refuses more symbols than `size` bytes may hold, by a `ValueError`.

  And more than `limits.at_most` allows.
  """
  limits.spend(n, what)
  if n > SYMBOLS_A_BYTE * (size + 1):
    raise ValueError(f'Damaged {what}: {n} symbols in {size} bytes.')


def encode_stream(
  symbols: Integer[np.ndarray, ' n'], coder: str = 'auto'
) -> bytes:
  """Writes a stream, its table included.

  Args:
    symbols: each in `0 .. 2^32 - 1`.
    coder: 'raw', 'huffman', 'zstd', 'ans', or 'auto': the smallest of them;
      'context', which is 'auto' here: neighbours are known where there is a
      shape; or 'fast', the smaller of 'raw' and the Huffman coder of zstd. A
      stream of one letter, and an empty one, is written as such under each of
      them; one with more letters than 'huffman' (2,048, spread over 4,096
      values) or 'ans' (65,536) can hold is written raw.

  Raises:
    ValueError: an unknown coder, or a symbol out of range.
  """
  check_coder(coder)
  letters, counts = histogram(symbols)
  if len(letters) < 2:
    head = bytes([_CONSTANT]) + wire.varint(int(letters.sum()))
    return head + b'\0' * (-(-symbols.size // SYMBOLS_A_BYTE) - len(head) - 1)
  if coder in _SEVERAL:
    kinds = _SEVERAL[coder]
    both = [_encode(symbols, letters, counts, k) for k in kinds]
    return min((r for r in both if r is not None), key=len)
  if coder in _NAMES:
    record = _encode(symbols, letters, counts, _NAMES[coder])
    return record or _encode(symbols, letters, counts, _RAW)
  return _smallest(symbols, letters, counts, np.inf)


def shorter(
  symbols: Integer[np.ndarray, ' n'],
  letters: Integer[np.ndarray, ' k'],
  counts: Integer[np.ndarray, ' k'],
  than: int,
) -> bytes | None:
  """A stream as 'auto' writes it, or `None` where none is likely to be shorter.

  Args:
    symbols: of more than one letter.
    letters: of the stream, see `histogram`.
    counts: likewise.
    than: bytes.
  """
  return _smallest(symbols, letters, counts, than)


def estimate(symbols: Integer[np.ndarray, ' n']) -> float:
  """About the bytes of a stream whose parts do not repeat themselves."""
  letters, counts = histogram(symbols)
  if len(letters) < 2:
    return 2.0
  size = bits.packed_size(symbols.size, bits.width(int(letters[-1])))
  return min(size, ans.estimate(letters, counts)) if ans.fits(letters) else size


def decode_stream(record: bytes, n: int) -> Integer[np.ndarray, ' n']:
  """Reads `n` symbols, as uint8 or uint32.

  Raises:
    ValueError: the record is damaged, or does not hold `n` symbols.
  """
  check_count(n, len(record), 'stream')
  reader = wire.Reader(record, 'stream')
  kind = reader.byte()
  kind, width = kind & 7, (kind >> 3) + 1
  if kind == _CONSTANT:
    value = reader.varint()
    if value > 0xFFFFFFFF or reader.rest().strip(b'\0'):
      raise ValueError('Damaged stream: not a constant.')
    return np.full(n, value, np.uint8 if value < 256 else np.uint32)
  if kind == _RAW:
    out = bits.unpack(reader.rest(), n, width)
    return out.astype(np.uint8) if width <= 8 else out
  if kind == _HUFFMAN:
    return huffman.decode(reader.rest(), n)
  if kind == _ZSTD:
    size = (width + 7) // 8
    data = frames.inflate(reader.rest(), n * size, 'stream')
    return from_planes(np.frombuffer(data, np.uint8).reshape(size, n))
  if kind == _ANS:
    return ans.decode(reader.rest(), n)
  raise ValueError(f'Unknown coder {kind} in a stream: a newer file?')


def histogram(
  symbols: Integer[np.ndarray, ' n'],
) -> tuple[Integer[np.ndarray, ' k'], Integer[np.ndarray, ' k']]:
  """Letters that occur, increasing, and how often each does.

  Raises:
    ValueError: a symbol out of `0 .. 2^32 - 1`.
  """
  if not symbols.size:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)
  low, high = int(symbols.min()), int(symbols.max())
  if low < 0 or high > 0xFFFFFFFF:
    raise ValueError(
      f'Symbols in {low} .. {high}: they must be in 0 .. 2^32 - 1.'
    )
  if high >= max(1 << 16, 4 * symbols.size):
    letters, counts = np.unique(symbols, return_counts=True)
    return letters.astype(np.int64), counts
  counts = np.zeros(high + 1, np.int64)
  for i in range(0, symbols.size, 1 << 20):
    part = symbols[i : i + (1 << 20)]
    counts += np.bincount(part, minlength=high + 1)
  letters = np.flatnonzero(counts)
  return letters, counts[letters]


def to_planes(
  symbols: Integer[np.ndarray, ' n'], size: int
) -> Integer[np.ndarray, 'size n']:
  """The bytes of each symbol, plane by plane, low ones first."""
  wide = np.ascontiguousarray(symbols.astype('<u4')).view(np.uint8)
  return np.ascontiguousarray(wide.reshape(-1, 4).T[:size])


def from_planes(
  planes: Integer[np.ndarray, 'size n'],
) -> Integer[np.ndarray, ' n']:
  """Inverts `to_planes`."""
  if len(planes) == 1:
    return planes[0]
  out = np.zeros((planes.shape[1], 4), np.uint8)
  out[:, : len(planes)] = planes.T
  return out.view('<u4')[:, 0].astype(np.uint32)


def _smallest(symbols, letters, counts, than):
  """The smallest record; `None` if none promises less than so many bytes."""
  width = bits.width(int(letters[-1]))
  sizes: dict[int, float] = {_RAW: 1 + bits.packed_size(symbols.size, width)}
  if ans.fits(letters):
    sizes[_ANS] = 1 + ans.estimate(letters, counts)
  least = min(sizes.values())
  if huffman.fits(letters) and huffman.least(letters, counts) < least + _SLACK:
    sizes[_HUFFMAN] = 1 + huffman.estimate(letters, counts)
  least = min(than, *sizes.values())
  planes = to_planes(symbols, (width + 7) // 8).tobytes()
  frame = frames.shorter(planes, least)
  best = frame and _zstd(symbols.size, width, frame)
  for kind in (_ANS, _HUFFMAN, _RAW):
    size = sizes.get(kind, np.inf) - _SLACK
    if size < least and (best is None or size < len(best)):
      record = _encode(symbols, letters, counts, kind)
      best = min((r for r in (record, best) if r is not None), key=len)
  return best


def _encode(symbols, letters, counts, kind):
  """The record under one coder; `None` where it cannot hold the stream."""
  width = bits.width(int(letters[-1]))
  head = bytes([kind | (width - 1) << 3])
  if kind == _RAW:
    return head + bits.pack(symbols, width)
  if kind in (_ZSTD, _ZSTD_HUFFMAN):
    planes = to_planes(symbols, (width + 7) // 8).tobytes()
    return _zstd(symbols.size, width, frames.deflate(planes, kind == _ZSTD))
  coder = huffman if kind == _HUFFMAN else ans
  if not coder.fits(letters):
    return None
  record = bytes([kind]) + coder.encode(symbols, letters, counts)
  short = -(-symbols.size // SYMBOLS_A_BYTE) - len(record)
  return record + b'\0' * short if kind == _ANS else record


def _zstd(n, width, frame):
  record = bytes([_ZSTD | (width - 1) << 3]) + frame
  return record if n <= SYMBOLS_A_BYTE * len(record) else None

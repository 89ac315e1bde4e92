"""Bytes as frames of zstd, whose size the reader knows.

A frame of `b` bytes is never read as more than `65536 * (b + 1)`.
"""

import types

import zstandard

SYMBOLS_A_BYTE = 1 << 16
_HUFFMAN_ONLY = types.MappingProxyType(
  dict(
    strategy=zstandard.STRATEGY_FAST,
    min_match=7,
    hash_log=6,
    window_log=17,
    chain_log=6,
    search_log=1,
    target_length=0,
  )
)
_SLICE = 1 << 10  # becomes 32 MiB at most
_QUICK, _PROMISING, _SLACK = 3, 1.1, 16


def deflate(data: bytes, repeats: bool = True, known: bytes = b'') -> bytes:
  """One zstd frame.

  Args:
    data: any bytes.
    repeats: looks for repetitions, at a level that falls with the length to
      stay quick; without, only the Huffman coder inside zstd works.
    known: what the reader has; what repeats parts of it is short.
  """
  settings = {} if repeats else _HUFFMAN_ONLY
  return _frame(data, _level(data), known, **settings)


def quick(data: bytes) -> bytes:
  """A frame in a tenth of the time: it is short where parts repeat."""
  return _frame(data, _QUICK)


def shorter(data: bytes, than: float) -> bytes | None:
  """A frame, or `None` where a quick look says that it will be longer.

  The quick frame of data without repetitions is some 15 % above their entropy,
  one of data that `deflate` makes smaller than that is not.
  """
  if _level(data) > _QUICK:
    if len(quick(data)) > _PROMISING * than + _SLACK:
      return None
  return deflate(data)


def inflate(data: bytes, size: int, what: str, known: bytes = b'') -> bytes:
  """Reads a frame of exactly `size` bytes, written with the same `known`.

  Raises:
    ValueError: it is damaged, or has another length.
  """
  if size > SYMBOLS_A_BYTE * (len(data) + 1):
    raise ValueError(f'Damaged {what}: {size} bytes in {len(data)}.')
  frame = zstandard.ZstdDecompressor(
    dict_data=_dictionary(known),
    max_window_size=1 << 27,
    format=zstandard.FORMAT_ZSTD1_MAGICLESS,
  ).decompressobj()
  parts, total = [], 0
  try:
    for i in range(0, len(data), _SLICE):
      parts.append(frame.decompress(data[i : i + _SLICE]))
      total += len(parts[-1])
      if total > size:
        break
  except zstandard.ZstdError as e:
    raise ValueError(f'Damaged {what}: {e}.') from e
  if total != size or not frame.eof or frame.unused_data:
    raise ValueError(f'Damaged {what}: not one frame of {size} bytes.')
  return b''.join(parts)


def _level(data):
  if len(data) < 1 << 16:
    return 19
  return 9 if len(data) < 1 << 20 else _QUICK


def _frame(data, level, known=b'', **settings):
  parameters = zstandard.ZstdCompressionParameters.from_level(
    level,
    source_size=len(data),
    write_content_size=0,
    write_checksum=0,
    write_dict_id=0,
    format=zstandard.FORMAT_ZSTD1_MAGICLESS,
    **settings,
  )
  return zstandard.ZstdCompressor(
    compression_params=parameters, dict_data=_dictionary(known)
  ).compress(data)


def _dictionary(known):
  kind = zstandard.DICT_TYPE_RAWCONTENT
  return zstandard.ZstdCompressionDict(known, kind) if known else None

"""One array as bytes: dtype, shape, and its entries in the smallest way.

The ways: `raw` bytes; `zstd` over them; `planes`, each byte of the entries as a
stream of its own, where floats are first rotated by one bit so that the
exponent is a byte to itself (their mantissas are noise, their exponents are
not); `letters`, the distinct entries and a stream of their indices; `range`, an
offset and a stream, for integers; `mask`, for booleans.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from jcompress.code import frames, heads, masks, streams, wire

_RAW, _ZSTD, _PLANES, _LETTERS, _RANGE, _MASK = range(6)
_SAMPLE, _MAX_LETTERS = 4096, 1024


def check(
  x: Shaped[np.ndarray, '...'], path: str, *, finite: bool = True
) -> None:
  """Refuses what `encode` cannot write, and NaN and inf where `finite`.

  Raises:
    ValueError: a dtype, shape or number of that kind; it names `path`.
  """
  if x.dtype.name not in heads.DTYPES:
    raise ValueError(
      f'{path} has dtype {x.dtype}: it must be one of '
      f'{", ".join(heads.DTYPES)}. Convert it first.'
    )
  if not heads.is_possible(x.shape):
    raise ValueError(
      f'{path} has shape {x.shape}: at most {heads.MAX_AXES} axes, each below '
      '2^31.'
    )
  if finite and jnp.issubdtype(x.dtype, jnp.floating) and not _finite(x):
    raise ValueError(
      f'{path} has NaN or inf: it is not packed. Look at the training run that '
      'produced these weights (learning rate, loss scale) first.'
    )


def encode(x: Shaped[np.ndarray, '...'], coder: str = 'auto') -> bytes:
  """Writes an array, its dtype and its shape.

  Raises:
    ValueError: an unknown coder, or a dtype that a file cannot hold.
  """
  coder = streams.for_arrays(coder)
  best = min(_candidates(x, coder), key=lambda c: len(c[1]))
  return heads.write(x.dtype, x.shape, best[0]) + best[1]


def decode(record: bytes) -> Shaped[np.ndarray, '...']:
  """Inverts `encode`; what it cannot have written is a `ValueError`."""
  reader = wire.Reader(record, 'array')
  dtype, shape, way = heads.read(reader)
  n = math.prod(shape)
  streams.check_count(n, len(record), 'array')
  if way == _MASK and dtype.kind == 'b':
    return masks.decode(reader.rest(), shape)
  if way == _RANGE and dtype.kind in 'iuV' and dtype.itemsize <= 8:
    return _read_range(reader, n, dtype).reshape(shape)
  if dtype.kind == 'b':
    raise ValueError(f'Damaged array: booleans in the way {way}.')
  if way == _RAW:
    data = reader.take(n * dtype.itemsize)
    reader.end()
  elif way == _ZSTD:
    data = frames.inflate(reader.rest(), n * dtype.itemsize, 'array')
  elif way == _PLANES:
    return _read_planes(reader, n, dtype).reshape(shape)
  elif way == _LETTERS:
    return _read_letters(reader, n, dtype).reshape(shape)
  else:
    raise ValueError(f'Unknown way {way} to write {dtype}: a newer file?')
  return _from_words(np.frombuffer(data, _word(dtype)), dtype).reshape(shape)


def to_device(x: Shaped[np.ndarray, '...']) -> Any:
  """A JAX array, or the NumPy array where JAX would change its dtype."""
  if jax.dtypes.canonicalize_dtype(x.dtype) != x.dtype:
    return x
  return jnp.asarray(x)


def _candidates(x, coder):
  flat = np.ascontiguousarray(x).reshape(-1)
  if x.dtype.kind == 'b':
    yield _MASK, masks.encode(np.ascontiguousarray(x), coder)
    return
  words = _words(flat)
  small = x.dtype.itemsize == 1
  if not jnp.issubdtype(x.dtype, jnp.floating):
    yield from _write_range(flat, coder)
    small = x.dtype.itemsize <= 4
  if small and not jnp.issubdtype(x.dtype, jnp.floating):
    return
  data = words.tobytes()
  if coder in ('raw', 'auto'):
    yield _RAW, data
  if coder in ('zstd', 'auto'):
    record = frames.deflate(data)
    if flat.size <= streams.SYMBOLS_A_BYTE * len(record) or coder == 'zstd':
      yield _ZSTD, record
  if coder in ('huffman', 'ans', 'auto'):
    yield _PLANES, _write_planes(words, x.dtype, coder)
    yield from _write_letters(words, coder)


def _write_range(flat, coder):
  low = int(flat.min()) if flat.size else 0
  high = int(flat.max()) if flat.size else 0
  if high - low > 0xFFFFFFFF:
    return
  wide = flat.astype(np.uint64 if low >= 0 else np.int64)
  symbols = (wide - wide.dtype.type(low)).astype(np.uint32)
  if 2 * abs(low) < wire.LIMIT:
    yield _RANGE, wire.signed(low) + streams.encode_stream(symbols, coder)


def _read_range(reader, n, dtype):
  low = reader.signed()
  symbols = streams.decode_stream(reader.rest(), n)
  limits = jnp.iinfo(dtype)
  high = low + (int(symbols.max()) if n else 0)
  if not int(limits.min) <= low <= high <= int(limits.max):
    raise ValueError(f'Damaged array: {low} .. {high} is not {dtype}.')
  return (symbols.astype(np.int64) + low).astype(dtype)


def _write_planes(words, dtype, coder):
  planes = _rotate(words, dtype, 1).view(np.uint8)
  planes = planes.reshape(-1, dtype.itemsize).T
  parts = [
    streams.encode_stream(np.ascontiguousarray(p), coder) for p in planes
  ]
  return b''.join(wire.prefixed(p) for p in parts[:-1]) + parts[-1]


def _read_planes(reader, n, dtype):
  size = dtype.itemsize
  planes = np.empty((n, size), np.uint8)
  for i in range(size):
    record = reader.prefixed() if i < size - 1 else reader.rest()
    plane = streams.decode_stream(record, n)
    if plane.dtype != np.uint8:
      raise ValueError('Damaged array: a byte plane beyond 255.')
    planes[:, i] = plane
  words = planes.reshape(-1).view(_word(dtype))
  return _from_words(_rotate(words, dtype, -1), dtype)


def _write_letters(words, coder):
  if len(np.unique(words[:: max(1, len(words) // _SAMPLE)])) > _MAX_LETTERS:
    return
  letters, index = np.unique(words, return_inverse=True)
  if 0 < len(letters) <= min(_MAX_LETTERS, len(words) // 2):
    table = wire.varint(len(letters)) + letters.tobytes()
    yield _LETTERS, table + streams.encode_stream(index, coder)


def _read_letters(reader, n, dtype):
  count = reader.varint()
  letters = np.frombuffer(reader.take(count * dtype.itemsize), _word(dtype))
  index = streams.decode_stream(reader.rest(), n)
  if n and int(index.max()) >= count:
    raise ValueError(f'Damaged array: index {index.max()} of {count} letters.')
  return _from_words(letters[index] if n else letters[:0], dtype)


def _rotate(words, dtype, by):
  """Rotates the bits of floats left by one, or back."""
  if not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize == 1:
    return words
  top = 8 * dtype.itemsize - 1
  left, right = (1, top) if by > 0 else (top, 1)
  kind = words.dtype.type
  return (words << kind(left)) | (words >> kind(right))


def _word(dtype):
  return np.dtype(f'<u{dtype.itemsize}')


def _words(flat):
  native = flat.view(np.dtype(f'u{flat.dtype.itemsize}'))
  return native.astype(_word(flat.dtype), copy=False)


def _from_words(words, dtype):
  native = words.astype(np.dtype(f'u{dtype.itemsize}'))
  return native.view(dtype)


def _finite(x):
  if x.dtype.itemsize < 4 and x.dtype.name != 'float16':
    x = x.astype(np.float32)
  return bool(np.isfinite(x).all())

"""Type and shape of an array as bytes, and a number below eight beside them."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jcompress.code import wire

DTYPES = (
  *('bool', 'int8', 'int16', 'int32', 'int64'),
  *('uint8', 'uint16', 'uint32', 'uint64'),
  *('float16', 'bfloat16', 'float32', 'float64'),
  *('float8_e4m3fn', 'float8_e5m2', 'int4', 'uint4'),
  *('float8_e3m4', 'float8_e4m3', 'float8_e4m3b11fnuz', 'float8_e4m3fnuz'),
  *('float8_e5m2fnuz', 'float8_e8m0fnu', 'float4_e2m1fn', 'int2', 'uint2'),
)
MAX_AXES = 32
_MAX_DIMS, _STATED = 1 << 31, 1


def is_possible(shape: Sequence[int]) -> bool:
  """Whether a file can hold arrays of this shape."""
  return len(shape) <= MAX_AXES and all(n < _MAX_DIMS for n in shape)


def write(dtype: np.dtype, shape: tuple[int, ...], tag: int = 0) -> bytes:
  """Writes a dtype, a shape and a number below eight.

  Raises:
    ValueError: a dtype that a file cannot hold, or a negative axis.
  """
  dims = b''.join(wire.varint(n) for n in shape)
  return bytes([DTYPES.index(dtype.name) | tag << 5, len(shape)]) + dims


def read(reader: wire.Reader) -> tuple[np.dtype, tuple[int, ...], int]:
  """Inverts `write`; what it cannot have written is a `ValueError`."""
  dtype, tag = _read_type(reader)
  return dtype, _read_shape(reader), tag


def write_codes(
  dtype: np.dtype, shape: tuple[int, ...], stated: tuple[int, ...] | None
) -> bytes:
  """Writes a dtype, and a shape where it is not the one `stated` elsewhere.

  >>> write_codes(np.dtype('int8'), (6, 4), (6, 4))
  b'!'
  """
  if shape == stated:
    return write(dtype, (), _STATED)[:1]
  return write(dtype, shape)


def read_codes(
  reader: wire.Reader, stated: tuple[int, ...] | None
) -> tuple[np.dtype, tuple[int, ...]]:
  """Inverts `write_codes`; what it cannot have written is a `ValueError`."""
  dtype, tag = _read_type(reader)
  if tag == _STATED and stated is not None:
    return dtype, stated
  if tag:
    raise ValueError(f'Damaged {reader.what}: no shape. A newer file?')
  return dtype, _read_shape(reader)


def _read_type(reader):
  first = reader.byte()
  if first & 31 >= len(DTYPES):
    raise ValueError(f'Damaged {reader.what}: dtype {first & 31}. Newer file?')
  return jnp.dtype(DTYPES[first & 31]), first >> 5


def _read_shape(reader):
  axes = reader.byte()
  if axes > MAX_AXES:
    raise ValueError(f'Damaged {reader.what}: {axes} axes.')
  shape = tuple(reader.varint() for _ in range(axes))
  if not is_possible(shape):
    raise ValueError(f'Damaged {reader.what}: impossible shape {shape}.')
  return shape

"""What an encoded leaf is: a dataclass of arrays that becomes an array."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Integer, Shaped

from jcompress import tree as tree_lib


class Encoded:
  """Base of the encoded leaves."""

  def decode(self) -> Array:
    """The array that this leaf stands for."""
    raise TypeError(f'{type(self).__name__} does not define decode().')

  def bits(self) -> float:
    """Bits of the values and codes, without headers."""
    raise TypeError(f'{type(self).__name__} does not define bits().')


def static(default: Any = dataclasses.MISSING) -> Any:
  """A field that is part of the structure, not of the data.

  Args:
    default: files leave it out, so that one that changes changes their leaves.
  """
  return dataclasses.field(default=default, metadata={'static': True})


def several() -> Any:
  """A field that holds a tuple of arrays."""
  return dataclasses.field(metadata={'several': True})


def data_fields(cls: type[Encoded]) -> list[str]:
  return [f.name for f in _fields(cls) if not f.metadata.get('static')]


def static_fields(cls: type[Encoded]) -> list[str]:
  return [f.name for f in _fields(cls) if f.metadata.get('static')]


def several_fields(cls: type[Encoded]) -> list[str]:
  return [f.name for f in _fields(cls) if f.metadata.get('several')]


def _fields(cls):
  return dataclasses.fields(cls)


def leaf(cls):
  """Makes a class an encoded leaf: a frozen dataclass and a pytree node.

  Its `decode` gives a NumPy array where the leaf holds 64-bit numbers and JAX
  has no 64-bit types (`jax_enable_x64` is off): JAX would cut them to 32 bits.
  """
  cls = dataclasses.dataclass(frozen=True)(cls)
  cls.decode = _in_all_bits(cls.decode)
  return jax.tree_util.register_dataclass(
    cls, data_fields(cls), static_fields(cls)
  )


def _in_all_bits(decode):
  @functools.wraps(decode)
  def exact(self):
    if not _has_wider_types_than_jax(self):
      return decode(self)
    with jax.enable_x64(True):
      values = decode(self)
    if isinstance(values, jax.core.Tracer):
      return values
    values = np.asarray(values)
    return values if _is_wider(values.dtype) else jnp.asarray(values)

  return exact


def _has_wider_types_than_jax(x):
  cls = type(x)
  fields = [getattr(x, f.name) for f in _fields(cls)]
  for name in several_fields(cls):
    fields.extend(getattr(x, name))
  return any(_is_wider(getattr(f, 'dtype', f)) for f in fields)


def _is_wider(dtype):
  is_one = isinstance(dtype, np.dtype)
  return is_one and jax.dtypes.canonicalize_dtype(dtype) != dtype


def is_encoded(x: Any) -> bool:
  return isinstance(x, Encoded)


def stream_entropy(symbols: Shaped[Array | np.ndarray, '...']) -> float:
  """Empirical entropy of a stream times its length, in bits.

  >>> stream_entropy(np.array([0, 0, 1, 1]))
  4.0
  """
  _, counts = np.unique(tree_lib.to_host(symbols), return_counts=True)
  total = counts.sum()
  return float(-(counts * np.log2(counts / total)).sum()) + 0.0


def width(x: Any) -> int:
  """Bits of one entry of an array."""
  return x.dtype.itemsize * 8


def look_up(
  rows: Float[Array, 'k length'], places: Integer[Array, '*shape']
) -> Float[Array, '*shape length']:
  """`rows[places]`, sharded as the places are; places beyond are clipped."""
  sharding = jax.typeof(places).sharding
  spec = PartitionSpec(*sharding.spec, None)
  return rows.at[places].get(
    mode='clip', out_sharding=NamedSharding(sharding.mesh, spec)
  )

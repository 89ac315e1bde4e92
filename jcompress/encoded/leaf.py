"""What an encoded leaf is, and what can be done with a tree of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Shaped

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
  """A field that is part of the structure, not of the data."""
  return dataclasses.field(default=default, metadata={'static': True})


def data_fields(cls: type[Encoded]) -> list[str]:
  return [f.name for f in _fields(cls) if not f.metadata.get('static')]


def static_fields(cls: type[Encoded]) -> list[str]:
  return [f.name for f in _fields(cls) if f.metadata.get('static')]


def _fields(cls):
  return dataclasses.fields(cls)


def leaf(cls):
  """Makes a class an encoded leaf: a frozen dataclass and a pytree node."""
  cls = dataclasses.dataclass(frozen=True)(cls)
  return jax.tree_util.register_dataclass(
    cls, data_fields(cls), static_fields(cls)
  )


def is_encoded(x: Any) -> bool:
  return isinstance(x, Encoded)


def decode(tree: Any) -> Any:
  """Turns an encoded tree into params: what must be evaluated."""
  return jax.tree.map(lambda e: e.decode(), tree, is_leaf=is_encoded)


def bits(tree: Any) -> float:
  """Sums the bits of an encoded tree: values, codebooks, entropy of the codes.

  Tied leaves and codebooks that leaves share are counted once. The size that
  counts is `len(pack(tree))`; this is the bound to hold it against.
  """
  return sum(bits_of_each(encoded_leaves(tree)))


def bits_of_each(leaves: Sequence[Encoded]) -> list[float]:
  """The bits of each leaf, without what an earlier one has: the same arrays."""
  seen: set[Any] = set()
  found = []
  for x in leaves:
    number = 0.0 if identity(x) in seen else x.bits()
    centers: Any = getattr(x, 'centers', None)
    if number and id(centers) in seen:
      number -= width(centers) * centers.size
    seen.add(identity(x))
    if centers is not None:
      seen.add(id(centers))
    found.append(float(number))
  return found


def identity(x: Encoded) -> tuple[Any, ...]:
  """What two leaves have in common exactly if they hold the same arrays."""
  return (
    type(x),
    tuple(id(getattr(x, name)) for name in data_fields(type(x))),
    tuple(repr(getattr(x, name)) for name in static_fields(type(x))),
  )


def encoded_leaves(tree: Any) -> list[Encoded]:
  """The leaves of an encoded tree.

  Raises:
    ValueError: some are not encoded.
  """
  leaves = jax.tree.leaves(tree, is_leaf=is_encoded)
  plain = [type(x).__name__ for x in leaves if not is_encoded(x)]
  if plain:
    raise ValueError(
      f'Not an encoded tree: it has leaves of type {sorted(set(plain))}. '
      'Pass the result of compressor.encode(latent, state).'
    )
  return leaves


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

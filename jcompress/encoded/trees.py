"""What can be done with a tree of encoded leaves."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jcompress import tree as tree_lib
from jcompress.encoded.leaf import (
  Encoded,
  data_fields,
  is_encoded,
  static_fields,
  width,
)
from jcompress.encoded.leaves import Dense


def decode(tree: Any) -> Any:
  """Turns an encoded tree into params: what must be evaluated.

  Arrays among the encoded leaves stay what they are. Leaves of 64-bit numbers
  become NumPy arrays where JAX has no 64-bit types.

  Raises:
    ValueError: no leaf is encoded, or one is neither that nor an array.
  """
  encoded_leaves(tree)
  values = lambda x: x.decode() if is_encoded(x) else x
  return jax.tree.map(values, tree, is_leaf=is_encoded)


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
    tuple(map(_identities, (getattr(x, n) for n in data_fields(type(x))))),
    tuple(repr(getattr(x, name)) for name in static_fields(type(x))),
  )


def _identities(field):
  return tuple(map(id, field)) if isinstance(field, tuple) else id(field)


def encoded_leaves(tree: Any) -> list[Encoded]:
  """The leaves of an encoded tree; arrays among them count as `Dense`.

  Raises:
    ValueError: no leaf is encoded, or one is neither that nor an array.
  """
  pairs = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_encoded)
  for path, x in pairs:
    if not isinstance(x, (Encoded, jax.Array, np.ndarray, np.generic)):
      raise ValueError(
        f'Not an encoded tree: {tree_lib.path_string(path) or "it"} is of type '
        f'{type(x).__name__}. Pass the result of '
        'compressor.encode(latent, state), or the tree of what unpack gives.'
      )
  leaves = [x for _, x in pairs]
  if leaves and not any(map(is_encoded, leaves)):
    raise ValueError(
      'Not an encoded tree: it has leaves of type '
      f'{sorted({type(x).__name__ for x in leaves})}. '
      'Pass the result of compressor.encode(latent, state).'
    )
  dense: Any = Dense
  return [x if is_encoded(x) else dense(x) for x in leaves]

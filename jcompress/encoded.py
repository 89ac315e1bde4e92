"""Encoded leaves: an array in the form in which it is shipped.

An encoded tree is the tree of the params with one of these in place of each
array. Each leaf knows how to become an array again (`decode`) and how many bits
it needs (`bits`: every number at its width, every code stream at its empirical
entropy, no headers). Leaves are pytrees, so that their fields hold arrays or
whatever JAX puts in the place of arrays while it looks at a tree.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
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


def static() -> Any:
  """A field that is part of the structure, not of the data."""
  return dataclasses.field(metadata={'static': True})


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


@leaf
class Dense(Encoded):
  """An array as it is.

  Attributes:
    values: of any shape and dtype.
  """

  values: Any

  def decode(self):
    return jnp.asarray(self.values)

  def bits(self):
    return float(_width(self.values) * self.values.size)


@leaf
class Signs(Encoded):
  """Two values: `scale` where `signs`, `-scale` elsewhere.

  Attributes:
    signs: bool, of the shape of the weight.
    scale: float, of a shape that broadcasts against it; a scalar is one for
      all.
  """

  signs: Any
  scale: Any

  def decode(self):
    return jnp.where(self.signs, self.scale, -self.scale)

  def bits(self):
    return float(self.signs.size + _width(self.scale) * self.scale.size)


@leaf
class Sparse(Encoded):
  """A pruned array: `values` where `mask`, exact zeros elsewhere.

  Attributes:
    values: float, of the shape of the weight; what stands outside the mask is
      not shipped.
    mask: bool, of the same shape.
  """

  values: Any
  mask: Any

  def decode(self):
    return jnp.where(self.mask, self.values, jnp.zeros_like(self.values))

  def bits(self):
    kept = int(np.count_nonzero(tree_lib.to_host(self.mask)))
    return _width(self.values) * kept + stream_entropy(self.mask)


@leaf
class Codebook(Encoded):
  """Shared values: `centers[codes]`.

  Attributes:
    centers: float `[k]`.
    codes: integers, of the shape of the weight, each in `0 .. k - 1`.
  """

  centers: Any
  codes: Any

  def decode(self):
    return jnp.asarray(self.centers)[self.codes]

  def bits(self):
    return _width(self.centers) * self.centers.size + stream_entropy(self.codes)


@leaf
class LowRank(Encoded):
  """A product of two factors, reshaped to the shape of the weight.

  Attributes:
    left: float `[m, rank]`.
    right: float `[rank, n]`.
    shape: of the weight, `m * n` entries.
  """

  left: Any
  right: Any
  shape: tuple[int, ...] = static()

  def decode(self):
    return (jnp.asarray(self.left) @ self.right).reshape(self.shape)

  def bits(self):
    return float(_width(self.left) * (self.left.size + self.right.size))


def is_encoded(x: Any) -> bool:
  return isinstance(x, Encoded)


def decode(tree: Any) -> Any:
  """Turns an encoded tree into params: what must be evaluated."""
  return jax.tree.map(lambda e: e.decode(), tree, is_leaf=is_encoded)


def bits(tree: Any) -> float:
  """Sums the bits of an encoded tree: values, codebooks, entropy of the codes.

  The size that counts is `len(pack(tree))`; this is the bound to hold it
  against.
  """
  return sum(x.bits() for x in encoded_leaves(tree))


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

  >>> stream_entropy(jnp.array([0, 0, 1, 1]))
  4.0
  """
  _, counts = np.unique(tree_lib.to_host(symbols), return_counts=True)
  total = counts.sum()
  return float(-(counts * np.log2(counts / total)).sum()) + 0.0


def _width(x) -> int:
  return x.dtype.itemsize * 8

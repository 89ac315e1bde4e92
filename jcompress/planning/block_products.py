"""Products with an encoded matrix that is never decoded as a whole."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jcompress import encoded
from jcompress.traced import jaxprs

_BLOCK = 2**20  # entries that are decoded at a time: 4 MB of float32
_LEAST = 2 * _BLOCK  # entries of a matrix that is worth it
_NARROWEST = 64  # columns
_ROWS = 8  # of inputs: more of them make up for the time of decoding


def product(eqn: Any, x: Any, leaf: Any) -> jax.Array | None:
  """`x @ leaf.decode()`, some columns after the others.

  The columns that are decoded stay in the cache until they are multiplied.
  Each entry is a sum over the same products; compilers add them up in the same
  order or in another, so that it is the same bit for bit or within the rounding
  of a sum in the type of the product.

  Args:
    eqn: a `dot_general` that may be such a product.
    x: its first operand, an array of few rows.
    leaf: its second, a large matrix: a `Codebook` or `Quantized` leaf, packed
      or not.

  Returns:
    What the equation gives; None where this is another operation, or another
    leaf, or not worth it.
  """
  width = _width(eqn, x, leaf)
  if width is None:
    return None
  outputs = _shape(leaf)[1]

  def block(i):
    part = _columns(leaf, i * width, width).decode()
    return jaxprs.bind(eqn.primitive, [x, part], eqn.params)[0]

  found = jax.lax.map(block, jnp.arange(outputs // width))
  return jnp.moveaxis(found, 0, -2).reshape(*x.shape[:-1], outputs)


def _width(eqn, x, leaf):
  """The columns of a block; None where there are to be no blocks."""
  shape = _shape(leaf)
  if eqn.primitive.name != 'dot_general' or shape is None or x.ndim < 1:
    return None
  inputs, outputs = shape
  is_matrix = eqn.params['dimension_numbers'] == (
    ((x.ndim - 1,), (0,)),
    ((), ()),
  )
  is_small = math.prod(shape) < _LEAST or x.size > _ROWS * inputs
  if not is_matrix or is_small:
    return None
  most = _BLOCK // inputs
  fits = [n for n in range(_NARROWEST, most + 1) if outputs % n == 0]
  return max(fits, default=None)


def _shape(leaf):
  """Of a matrix that can be cut into columns; None of others."""
  part = leaf.part if isinstance(leaf, encoded.Packed) else leaf
  if isinstance(part, encoded.Quantized):
    if part.tile and part.tile[0] != 0:
      return None
  elif not isinstance(part, encoded.Codebook):
    return None
  is_packed = part is not leaf
  shape = leaf.shape if is_packed else jnp.shape(part.codes)
  if len(shape) != 2 or (is_packed and shape[0] % (8 // leaf.each)):
    return None
  return shape


def _columns(leaf, start, width):
  """A leaf of the columns from one on."""
  outputs = _shape(leaf)[1]

  def cut(x):
    if jnp.ndim(x) < 1 or x.shape[-1] != outputs:
      return x
    return jax.lax.dynamic_slice_in_dim(x, start, width, -1)

  if isinstance(leaf, encoded.Packed):
    # A byte holds codes of rows that are apart, all of one column.
    rows = jnp.asarray(leaf.packed).reshape(-1, outputs)
    return dataclasses.replace(
      leaf,
      part=_scales(leaf.part, cut),
      packed=cut(rows).reshape(-1),
      shape=(leaf.shape[0], width),
    )
  return dataclasses.replace(_scales(leaf, cut), codes=cut(leaf.codes))


def _scales(part, cut):
  if isinstance(part, encoded.Codebook):
    return part
  zero = None if part.zero is None else cut(part.zero)
  return dataclasses.replace(part, scale=cut(part.scale), zero=zero)

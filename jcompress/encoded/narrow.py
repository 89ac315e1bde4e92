"""Codes in as few bits as they need, for running a model from them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree as tree_lib
from jcompress.encoded.blocks import Blocks
from jcompress.encoded.leaf import is_encoded
from jcompress.encoded.leaves import Codebook
from jcompress.encoded.product import Product
from jcompress.encoded.quantized import Quantized
from jcompress.encoded.scaled import Scaled
from jcompress.encoded.stacked import Stacked
from jcompress.encoded.trees import encoded_leaves


def packed(encoded: Any) -> Any:
  """The same encoded tree, each code in 2, 4 or 8 bits if it fits.

  Codes of up to 16 values become `uint4` or `int4`, of up to 4 `uint2` or
  `int2`: compiled programs hold those two and four to a byte. What the tree
  decodes to is the same, bit for bit. Leaves without codes stay as they are. A
  file is to be written from the tree itself: it has no codes of 2 bits, and is
  no smaller for those of 4.

  >>> leaf = Codebook(jnp.arange(9.0), jnp.array([8, 0], jnp.uint8))
  >>> packed(leaf).codes
  Array([8, 0], dtype=uint4)

  Args:
    encoded: tree of encoded leaves, with arrays (not inside `jit`).

  Raises:
    ValueError: it is none, or codes of a `Quantized` leaf are traced.
  """
  encoded_leaves(encoded)
  one = lambda x: _narrow(x) if is_encoded(x) else x
  return jax.tree.map(one, encoded, is_leaf=is_encoded)


def _narrow(leaf):
  if isinstance(leaf, Stacked):
    parts = tuple(map(_narrow, leaf.parts))
    return dataclasses.replace(leaf, parts=parts)
  if isinstance(leaf, Scaled):
    return dataclasses.replace(leaf, part=_narrow(leaf.part))
  if isinstance(leaf, (Codebook, Blocks)):
    low, high = 0, leaf.centers.size - 1
  elif isinstance(leaf, Product):
    low, high = 0, leaf.centers.shape[2] - 1
  elif isinstance(leaf, Quantized):
    low, high = _range(leaf.codes)
  else:
    return leaf
  narrow = _dtype(low, high)
  if jnp.iinfo(leaf.codes.dtype).bits <= jnp.iinfo(narrow).bits:
    return leaf
  return dataclasses.replace(leaf, codes=jnp.asarray(leaf.codes).astype(narrow))


def _range(codes):
  if isinstance(codes, jax.core.Tracer):
    raise ValueError(
      'The codes of a Quantized leaf are traced, and how many bits they need '
      'depends on their values: call packed() outside of jit.'
    )
  codes = tree_lib.to_host(codes)
  if not codes.size:
    return 0, 0
  wide = codes.astype(np.int32)
  return int(wide.min()), int(wide.max())


def _dtype(low, high):
  for name in ('uint2', 'int2', 'uint4', 'int4', 'uint8', 'int8', 'uint16'):
    found = jnp.dtype(name)
    limits = jnp.iinfo(found)
    if limits.min <= low and high <= limits.max:
      return found
  return jnp.dtype(jnp.int32)

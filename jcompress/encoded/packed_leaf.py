"""A leaf whose codes lie several to a byte, for running a model from it."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree as tree_lib
from jcompress.arithmetic.small_codes import pack_codes, unpack_codes
from jcompress.encoded.blocks import Blocks
from jcompress.encoded.layered import Layered, layered
from jcompress.encoded.leaf import Encoded, is_encoded, leaf, static
from jcompress.encoded.leaves import Codebook, Signs, Sparse
from jcompress.encoded.product import Product
from jcompress.encoded.quantized import Quantized
from jcompress.encoded.scaled import Scaled
from jcompress.encoded.stacked import Stacked
from jcompress.encoded.tied import Tied
from jcompress.encoded.trees import encoded_leaves, identity

_FIELDS = {
  Blocks: 'codes',
  Codebook: 'codes',
  Product: 'codes',
  Quantized: 'codes',
  Signs: 'signs',
  Sparse: 'mask',
}


@leaf
class Packed(Encoded):
  """A leaf whose codes, signs or mask are packed as by `ops.pack_codes`.

  Attributes:
    part: the leaf, with nothing in the place of what is packed.
    packed: uint8: its codes less `low`.
    field: of the part that is packed.
    each: bits of a code: 1, 2 or 4.
    low: the least code.
    shape: of the codes.
    dtype: of the codes.
  """

  part: Encoded
  packed: Any
  field: str = static()
  each: int = static()
  low: int = static()
  shape: tuple[int, ...] = static()
  dtype: Any = static()

  @property
  def centers(self) -> Any:
    """Those of the part, which other leaves may share, if it has any."""
    return getattr(self.part, 'centers', None)

  def unpacked(self) -> Encoded:
    """The leaf as it was."""
    codes = unpack_codes(jnp.asarray(self.packed), self.each, self.shape)
    if self.low:
      codes = codes.astype(jnp.int32) + self.low
    codes = codes.astype(self.dtype)
    part: Any = self.part
    return dataclasses.replace(part, **{self.field: codes})

  def decode(self):
    return self.unpacked().decode()

  def bits(self):
    return self.unpacked().bits()


def packed(encoded: Any) -> Any:
  """The same encoded tree with small codes packed several to a byte.

  Codes of up to 16 values take 4 bits, of up to 4 values 2, of 2 values, signs
  and masks 1. What the tree decodes to is the same, bit for bit. Layers of a
  `Stacked` leaf that are of one form become one `Layered` leaf. Other leaves
  stay as they are, and tied ones tied. `pack` writes the same file from either.
  On a mesh each device has all of what is packed.

  >>> found = packed(Codebook(jnp.arange(9.0), jnp.array([8, 0], jnp.uint8)))
  >>> found.packed, found.decode()
  (Array([8], dtype=uint8), Array([8., 0.], dtype=float32))

  Args:
    encoded: tree of encoded leaves, with arrays (not inside `jit`).

  Raises:
    ValueError: it is none, or codes of a `Quantized` leaf are traced.
  """
  encoded_leaves(encoded)
  done: dict[Any, Any] = {}  # with the leaves: their ids stay theirs

  def one(x):
    if not is_encoded(x):
      return x
    same = identity(x)
    if same not in done:
      done[same] = x, _packed(x)
    return done[same][1]

  return jax.tree.map(one, encoded, is_leaf=is_encoded)


def unpacked(leaf: Encoded) -> Encoded:
  """The leaf as it was before `packed`, also where it is inside another."""
  return _unpacked(leaf)


def _unpacked(x):
  if isinstance(x, Packed):
    return x.unpacked()
  x = x.stacked() if isinstance(x, Layered) else x
  if isinstance(x, Stacked):
    return dataclasses.replace(x, parts=tuple(map(_unpacked, x.parts)))
  if isinstance(x, (Scaled, Tied)):
    return dataclasses.replace(x, part=_unpacked(x.part))
  return x


def _packed(x):
  limits = _limits(x)
  if limits is not None:
    x = _pack(x, *limits)
  return (layered(x) or x) if isinstance(x, Stacked) else x


def _limits(x):
  """The least and greatest code that a leaf can have; None without codes."""
  if isinstance(x, Stacked):
    found = [limits for limits in map(_limits, x.parts) if limits is not None]
    lows, highs = [a for a, _ in found], [b for _, b in found]
    return (min(lows), max(highs)) if found else None
  if isinstance(x, (Scaled, Tied)):
    return _limits(x.part)
  if isinstance(x, (Codebook, Blocks)):
    return 0, x.centers.size - 1
  if isinstance(x, Product):
    return 0, x.centers.shape[2] - 1
  if isinstance(x, Quantized):
    return _range(x.codes)
  return (0, 1) if isinstance(x, (Signs, Sparse)) else None


def _pack(x, low, high):
  if isinstance(x, Stacked):
    parts = tuple(_pack(part, low, high) for part in x.parts)
    return dataclasses.replace(x, parts=parts)
  if isinstance(x, (Scaled, Tied)):
    return dataclasses.replace(x, part=_pack(x.part, low, high))
  each = next((n for n in (1, 2, 4) if high - low < 2**n), None)
  field = _FIELDS.get(type(x))
  if each is None or field is None:
    return x
  codes = tree_lib.replicated(jnp.asarray(getattr(x, field)))
  whole = codes.astype(jnp.int32) - low
  part = dataclasses.replace(x, **{field: None})
  words = pack_codes(whole, each)
  return Packed(part, words, field, each, low, codes.shape, codes.dtype)


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

"""Arrays, signs, masks, codebooks, factors: leaves of one idea each."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jcompress import tree as tree_lib
from jcompress.encoded.leaf import Encoded, leaf, static, stream_entropy, width


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
    return float(width(self.values) * self.values.size)


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
    return float(self.signs.size + width(self.scale) * self.scale.size)


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
    return width(self.values) * kept + stream_entropy(self.mask)


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
    return width(self.centers) * self.centers.size + stream_entropy(self.codes)


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
    return float(width(self.left) * (self.left.size + self.right.size))

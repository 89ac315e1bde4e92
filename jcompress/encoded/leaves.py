"""Arrays, signs, masks, codebooks, factors: leaves of one idea each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jcompress import tree as tree_lib
from jcompress.arithmetic.xnor_ops import Padding
from jcompress.encoded.leaf import Encoded, leaf, static, stream_entropy, width
from jcompress.encoded.packed_signs import PackedSigns, packed_signs


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
class Key(Encoded):
  """A PRNG key, or an array of keys, as it is.

  Attributes:
    data: the words of the keys, unsigned, `[..., words]`.
    impl: the name of their generator.
  """

  data: Any
  impl: str = static()

  def decode(self):
    return jax.random.wrap_key_data(jnp.asarray(self.data), impl=self.impl)

  def bits(self):
    return float(width(self.data) * self.data.size)


def as_it_is(x: Any) -> Encoded:
  """The leaf of an array that nothing was done to."""
  key: Any = Key
  dense: Any = Dense
  if tree_lib.is_key(x):
    return key(jax.random.key_data(x), str(jax.random.key_impl(x)))
  return dense(x)


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
    # A choice between two scalars has no sharding of its own, a product has.
    plus = jnp.asarray(self.signs).astype(self.scale.dtype)
    return (plus + plus - 1) * self.scale

  def bits(self):
    return float(self.signs.size + width(self.scale) * self.scale.size)

  def packed(self) -> PackedSigns:
    """The signs 32 to a word: what to keep where many products are wanted.

    Raises:
      ValueError: the weight is neither a matrix `[in, out]` nor a kernel
        `[height, width, in, out]`, or its scale varies along more than the
        outputs.
    """
    return packed_signs(self.signs, self.scale)

  def matmul(
    self, x: Bool[Array, '*batch n_in'] | Float[Array, '*batch n_in']
  ) -> Float[Array, '*batch n']:
    """`sgn(x) @ decode()` of a weight `[in, out]`, from packed bits.

    The inputs count as signs too, `+1` where `x >= 0`. The sum of the signs is
    exact; the scale comes last, in float32.

    Args:
      x: inputs `[..., in]`, or `x >= 0`.

    Raises:
      ValueError: the weight is no matrix, `x` does not fit, or the scale varies
        along the inputs.

    References:
      Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
    """
    return self.packed().matmul(x)

  def conv(
    self,
    x: Bool[Array, 'n height width channels']
    | Float[Array, 'n height width channels'],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = 'VALID',
    groups: int = 1,
  ) -> Float[Array, 'n out_height out_width out_channels']:
    """Convolution of `sgn(x)` with `decode()`, from packed bits.

    Padding counts as zero, as in `ops.xnor_conv`.

    Args:
      x: `[n, height, width, groups * in]`, or `x >= 0`.
      strides: of the window.
      padding: 'VALID', 'SAME', 'SAME_LOWER', or pairs: rows of zeros before and
        after, then columns.
      groups: of channels; `out` must be a multiple of it.

    Raises:
      ValueError: the weight is no kernel of four axes; `x`, strides, padding or
        groups do not fit; the scale varies along more than the outputs.

    References:
      Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
    """
    return self.packed().conv(x, strides, padding, groups)


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

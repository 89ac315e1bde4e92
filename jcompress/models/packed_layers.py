"""Layers that compute with packed signs, each with the norm after it."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, Shaped

from jcompress.arithmetic.binary_dot import binary_dot
from jcompress.arithmetic.bit_planes import byte_conv, byte_dot
from jcompress.arithmetic.packing import pack_signs
from jcompress.arithmetic.windows import Padding
from jcompress.arithmetic.xnor_ops import binary_conv
from jcompress.binarize.folding import FoldedThreshold
from jcompress.binarize.xnor import k_map
from jcompress.encoded.packed_signs import PackedSigns
from jcompress.models.lenet import max_pool


class Affine(NamedTuple):
  """`factor * sums + offset`: a batch norm that no sign follows."""

  factor: jax.Array
  offset: jax.Array

  def __call__(
    self, sums: Num[Array, '*batch units']
  ) -> Float[Array, '*batch units']:
    return sums * self.factor + self.offset


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PackedLayer:
  """A layer of a `PackedNetwork`, from its input to the next one's.

  Attributes:
    weight: packed signs, or floats.
    norm: the batch norm, with the sign of the next layer where that needs
      nothing else, and with the scale of the weight.
    pool: whether 2x2 windows are pooled before it.
    padding: of the convolution.
    pixels: how bytes stand for the inputs, see `pack_network`; None if the
      inputs are no bytes.
    scaled: multiplies by the mean magnitude of the inputs.
    relu: rectifies the inputs.
  """

  weight: PackedSigns | jax.Array
  norm: FoldedThreshold | Affine
  pool: bool = dataclasses.field(metadata={'static': True})
  padding: Padding = dataclasses.field(metadata={'static': True})
  pixels: str | None = dataclasses.field(metadata={'static': True})
  scaled: bool = dataclasses.field(metadata={'static': True})
  relu: bool = dataclasses.field(metadata={'static': True})

  def __call__(
    self, x: Shaped[Array, 'batch ...']
  ) -> Shaped[Array, 'batch ...']:
    is_conv = len(self.weight.shape) == 4
    x = x if is_conv else x.reshape(x.shape[0], -1)
    if not isinstance(self.weight, PackedSigns):
      sums = self._float_product(x)
    elif self.pixels:
      sums = self._pixel_product(x)
    else:
      sums = self._product(x if x.dtype == bool else x >= 0)
      if self.scaled and is_conv:
        rows, columns = self.weight.shape[:2]
        sums = sums * k_map(x, (rows, columns), padding=self.padding)
      elif self.scaled:
        sums = sums * jnp.mean(jnp.abs(x), -1, keepdims=True)
    return self.norm(max_pool(sums) if self.pool else sums)

  def _float_product(self, x):
    x = jnp.maximum(x, 0) if self.relu else x
    if x.ndim == 2:
      return x @ self.weight
    return jax.lax.conv_general_dilated(
      x,
      self.weight,
      (1, 1),
      self.padding,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  def _product(self, up):
    words = self.weight.words
    if up.ndim == 2:
      return binary_dot(pack_signs(up), words, up.shape[-1])
    return binary_conv(up, words, padding=self.padding)

  def _pixel_product(self, x):
    centered = self.pixels == 'symmetric'
    if x.ndim == 2:
      return byte_dot(x, self.weight.words, centered=centered)
    return byte_conv(
      x, self.weight.words, padding=self.padding, centered=centered
    )

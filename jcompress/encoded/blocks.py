"""Codes of any grid, with a scale for each block of weights."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jcompress.encoded.leaf import (
  Encoded,
  leaf,
  look_up,
  static,
  stream_entropy,
  width,
)
from jcompress.encoded.quantized import Tile, spread


@leaf
class Blocks(Encoded):
  """Values of a grid, stretched block by block: `centers[codes] * scale`.

  The product is in float32.

  Attributes:
    codes: unsigned, of the shape of the weight, each in `0 .. k - 1`.
    scale: float32 or narrower, or int8: the exponents of powers of two, from
      -126 on. It broadcasts against the codes as the scale of `Quantized` does.
    centers: float `[k]`, of any width: the grid.
    tile: `(axis, size)`: each entry of `scale` along `axis` is for `size`
      consecutive indices of the weight, the last one for what is left.
    dtype: of the decoded array.

  >>> codes = jnp.array([[0, 1], [2, 2]], jnp.uint8)
  >>> exponents = jnp.array([[-1, 3]], jnp.int8)
  >>> Blocks(codes, exponents, jnp.array([-3.0, 0, 1])).decode()
  Array([[-1.5,  0. ],
         [ 0.5,  8. ]], dtype=float32)
  """

  codes: Any
  scale: Any
  centers: Any
  tile: Tile | None = static(default=None)
  dtype: Any = static(default=jnp.dtype(jnp.float32))

  def decode(self):
    codes, centers = jnp.asarray(self.codes), jnp.asarray(self.centers)
    if centers.ndim != 1 or not centers.size:
      raise ValueError(f'The centers are {list(centers.shape)}, no list.')
    values = look_up(centers.astype(jnp.float32)[:, None], codes)[..., 0]
    scale = jnp.asarray(self.scale)
    if jnp.issubdtype(scale.dtype, jnp.integer):
      scale = power_of_two(scale)
    scale = spread(scale.astype(jnp.float32), codes.shape, self.tile)
    # A scale is rounded, and its largest weight may be the largest there is.
    most = float(jnp.finfo(self.dtype).max)
    return jnp.clip(values * scale, -most, most).astype(self.dtype)

  def bits(self):
    total = sum(width(x) * x.size for x in (self.scale, self.centers))
    return total + stream_entropy(self.codes)


def power_of_two(exponent: Int[Array, '*shape']) -> Float[Array, '*shape']:
  """Exactly `2^exponent` in float32, for exponents in `-126 .. 127`.

  Lower ones count as -126, where a power is no normal number.
  """
  exponent = jnp.clip(exponent.astype(jnp.int32), -126, 127)
  return jax.lax.bitcast_convert_type((exponent + 127) << 23, jnp.float32)

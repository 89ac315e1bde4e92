"""Integers on a uniform grid: the leaf of linear quantization."""

from typing import Any

import jax
import jax.numpy as jnp

from jcompress.encoded.leaf import Encoded, leaf, static, stream_entropy, width

Tile = tuple[int, int]


@leaf
class Quantized(Encoded):
  """Integers on a uniform grid: `(codes - zero) * scale`, in float32.

  Attributes:
    codes: integers of at most 16 bits, of the shape of the weight.
    scale: float32 or narrower, the distance of two neighbours on the grid. It
      broadcasts against the codes: `()` is one for all, `[1, out]` one for each
      column.
    zero: integer, of the shape of the scale: the code of zero; `None` is 0. Or
      a float: zero then lies between two codes.
    tile: `(axis, size)`: each entry of `scale` along `axis` is for `size`
      consecutive indices of the weight, the last one for what is left.
    dtype: of the decoded array.

  >>> codes = jnp.array([[50, -127], [0, 127]], jnp.int8)
  >>> Quantized(codes, jnp.array([[0.01, 0.25]])).decode()
  Array([[  0.5 , -31.75],
         [  0.  ,  31.75]], dtype=float32)
  """

  codes: Any
  scale: Any
  zero: Any = None
  tile: Tile | None = static(default=None)
  dtype: Any = static(default=jnp.dtype(jnp.float32))

  def integers(self) -> jax.Array:
    """The multiples of the scale that the weights are, `codes - zero`.

    Raises:
      ValueError: zero is not a whole code.
    """
    if self._zero_is_float():
      raise ValueError(
        f'The zero of this grid is {self.zero.dtype}, between two codes: its '
        'weights are no integers. Quantize with a whole zero, or none.'
      )
    return self._multiples(jnp.dtype(jnp.int32))

  def decode(self):
    kind = jnp.float32 if self._zero_is_float() else jnp.int32
    multiples = self._multiples(jnp.dtype(kind)).astype(jnp.float32)
    scale = jnp.asarray(self.scale).astype(jnp.float32)
    scale = spread(scale, multiples.shape, self.tile)
    return (multiples * scale).astype(self.dtype)

  def _zero_is_float(self):
    dtype = getattr(self.zero, 'dtype', jnp.int32)
    return jnp.issubdtype(dtype, jnp.floating)

  def _multiples(self, dtype):
    codes = jnp.asarray(self.codes).astype(dtype)
    if self.zero is None:
      return codes
    zero = jnp.asarray(self.zero).astype(dtype)
    return codes - spread(zero, codes.shape, self.tile)

  def bits(self):
    parts = [self.scale] if self.zero is None else [self.scale, self.zero]
    total = sum(width(x) * x.size for x in parts)
    return total + stream_entropy(self.codes)


def spread(
  scale: jax.Array, shape: tuple[int, ...], tile: Tile | None
) -> jax.Array:
  """Repeats the entries of tiles, so that a scale broadcasts against weights.

  Args:
    scale: of a `Quantized` leaf.
    shape: of the weight.
    tile: `(axis, size)`, or `None`, which changes nothing.

  Raises:
    ValueError: the scale is not one for these weights and tiles.
  """
  length, size = 1, 1
  fits = scale.ndim <= len(shape)
  if tile:
    axis, size = tile
    fits = scale.ndim == len(shape) > axis >= 0 and size > 0
    length = shape[axis] if fits else 0
    fits = fits and scale.shape[axis] == -(-length // size)
  if tile and fits:
    scale = jnp.repeat(scale, max(1, min(size, length)), axis)
    scale = jax.lax.slice_in_dim(scale, 0, length, axis=axis)
  aligned = shape[len(shape) - scale.ndim :]
  if not fits or any(
    have not in (1, want)
    for have, want in zip(scale.shape, aligned, strict=True)
  ):
    raise ValueError(
      f'A scale {list(scale.shape)} with {tile=} does not fit a weight '
      f'{list(shape)}: each axis must be 1 or that of the weight, and have one '
      'entry a tile along the axis of the tiles.'
    )
  return scale

"""Codes of a weight that was rotated before it was rounded."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.encoded.leaf import (
  Encoded,
  leaf,
  look_up,
  static,
  stream_entropy,
  width,
)


@leaf
class Rotated(Encoded):
  """Values of a grid, rotated: `signs * scale * H centers[codes]`.

  The axis of the weight is cut into pieces, see `pieces`, each with a scale and
  a Hadamard matrix `H` of its size. All is in float32.

  Attributes:
    codes: unsigned, of the shape of the weight, each in `0 .. k - 1`.
    scale: float, of the shape of the weight with the pieces along `axis`.
    centers: float `[k]`: the grid.
    signs: bool `[n]`, `+1` where true: one for each index of `axis`.
    axis: of the weight that is rotated, not negative.
    block: size of most pieces, a power of two.
    dtype: of the decoded array.
  """

  codes: Any
  scale: Any
  centers: Any
  signs: Any
  axis: int = static()
  block: int = static()
  dtype: Any = static(default=jnp.dtype(jnp.float32))

  def decode(self):
    codes, centers = jnp.asarray(self.codes), jnp.asarray(self.centers)
    scale, signs = jnp.asarray(self.scale), jnp.asarray(self.signs)
    _require_fit(codes, scale, centers, signs, self.axis, self.block)
    values = look_up(centers.astype(jnp.float32)[:, None], codes)[..., 0]
    values = jnp.moveaxis(tree.replicated(values), self.axis, -1)
    scale = jnp.moveaxis(scale.astype(jnp.float32), self.axis, -1)
    stretched = spread_pieces(scale, codes.shape[self.axis], self.block)
    signed = jnp.where(_as_rows(signs, stretched.ndim), stretched, -stretched)
    rotated = hadamard(values, self.block) * signed
    return jnp.moveaxis(rotated, -1, self.axis).astype(self.dtype)

  def bits(self):
    total = sum(width(x) * x.size for x in (self.scale, self.centers))
    return total + self.signs.size + stream_entropy(self.codes)


def pieces(n: int, block: int) -> list[tuple[int, int]]:
  """How `n` entries are cut: `(size, count)`, sizes are powers of two.

  As many blocks as there are, then the binary digits of what is left.

  >>> pieces(300, 128)
  [(128, 2), (32, 1), (8, 1), (4, 1)]
  """
  rest = n % block
  powers = [1 << i for i in reversed(range(block.bit_length()))]
  whole = [(block, n // block)] if n >= block else []
  return whole + [(size, 1) for size in powers if rest & size]


def hadamard(x: Float[Array, '*rest n'], block: int) -> Float[Array, '*rest n']:
  """Multiplies each piece of the last axis by its orthonormal Hadamard matrix.

  The fast Walsh-Hadamard transform: additions, and one factor at the end. It is
  its own inverse.

  Args:
    x: any array.
    block: size of most pieces, see `pieces`.
  """
  found, start = [], 0
  for size, count in pieces(x.shape[-1], block):
    part = jax.lax.slice_in_dim(x, start, start + size * count, axis=-1)
    start += size * count
    rows = part.reshape(*x.shape[:-1], count, size)
    half = 1
    while half < size:
      pairs = rows.reshape(*x.shape[:-1], count, size // (2 * half), 2, half)
      low, high = pairs[..., 0, :], pairs[..., 1, :]
      rows = jnp.stack([low + high, low - high], -2)
      half *= 2
    rows = rows.reshape(part.shape) * jnp.float32(size**-0.5)
    found.append(rows)
  return jnp.concatenate(found, -1) if found else x


def spread_pieces(
  scale: Float[Array, '*rest pieces'], n: int, block: int
) -> Float[Array, '*rest n']:
  """Repeats the number of each piece for all its entries."""
  cut = [size for size, count in pieces(n, block) for _ in range(count)]
  return jnp.repeat(scale, jnp.array(cut, int), -1, total_repeat_length=n)


def _as_rows(x, ndim):
  return x.reshape((1,) * (ndim - 1) + x.shape)


def _require_fit(codes, scale, centers, signs, axis, block):
  is_power = block > 0 and block & (block - 1) == 0
  fits = is_power and 0 <= axis < codes.ndim
  wanted = list(codes.shape)
  if fits:
    cut = pieces(wanted[axis], block)
    wanted[axis] = sum(count for _, count in cut)
    fits = list(scale.shape) == wanted and centers.ndim == 1
    fits = fits and centers.size and signs.shape == (codes.shape[axis],)
  if not fits:
    raise ValueError(
      f'Codes {list(codes.shape)}, scale {list(scale.shape)}, centers '
      f'{list(centers.shape)} and signs {list(signs.shape)} do not make up a '
      f'weight that is rotated along axis {axis} in blocks of {block}.'
    )

"""Weights are rotated before they are rounded: then they are nearly normal."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import Rotated
from jcompress.encoded.rotated import hadamard, pieces, spread_pieces
from jcompress.leafwise import leafwise
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.quantize.grids import nearest_codes
from jcompress.quantize.normal_grid import normal_grid
from jcompress.quantize.ranges import narrowed


class RotationState(NamedTuple):
  signs: jax.Array  # of the entries of the axis that is rotated, bool


def hadamard_quantize(
  bits: int = 4, *, block: int = 256, axis: int = -2, seed: int = 0
) -> Compressor:
  """Trains weights through a rotation, rounding, and the rotation back.

  An axis is cut into pieces of `block` entries (the last ones shorter powers
  of two). In each piece weights get random signs and are multiplied by a
  Hadamard matrix `H`: no entry stands out then, and unless a few weights are
  all there is, they are nearly normal. So they are rounded to the grid that is
  optimal for a normal variable, with the scale `r`, the root of the mean square
  of the piece:

      view = signs * H (r * nearest(H (signs * w) / r)).

  The latent is the weight in full precision; the gradient passes straight
  through. The scales are in bfloat16.

  Exact zeros do not stay zero.

  Args:
    bits: of a code, `1 .. 8`.
    block: size of most pieces, a power of two, `>= 2`; each has a scale for
      each entry of the other axes.
    axis: of the weight that is rotated: -2 for the inputs of a dense kernel and
      the input channels of a convolution.
    seed: of the signs.

  Raises:
    ValueError: an argument out of range; in `init`, a weight without this axis.

  References:
    Tseng et al., QuIP#, 2024, arXiv 2402.04396, section 3 (random signs and
    Hadamard matrices).
    Malinovskii et al., HIGGS, 2024, arXiv 2411.17525 (grids that are optimal
    for normal variables).
  """
  centers = np.array(normal_grid(bits), np.float32)
  require_whole('block', block, 2)
  require_whole('axis', axis, -32, 31)
  require_whole('seed', seed, 0)
  if block & (block - 1):
    raise ValueError(f'block is {block}; it must be a power of two.')

  def init(w):
    along = w.shape[_resolve_axis(axis, w.shape)]
    signs = jax.random.bernoulli(jax.random.key(seed), shape=(along,))
    return w, RotationState(signs)

  def leaf(w, state):
    where = _resolve_axis(axis, w.shape)
    x = jax.lax.stop_gradient(tree.replicated(w)).astype(jnp.float32)
    x = jnp.moveaxis(x, where, -1)
    signs = state.signs.reshape((1,) * (x.ndim - 1) + state.signs.shape)
    x = hadamard(jnp.where(signs, x, -x), block)
    scale = narrowed(_sizes(x, block))
    codes = nearest_codes(x / spread_pieces(scale, x.shape[-1], block), centers)
    # A piece of zeros has a scale that is none.
    scale = jnp.where(_sizes(x, block) > 0, scale, 0)
    back = lambda x: jnp.moveaxis(x, -1, where)
    return Rotated(
      back(codes),
      back(scale).astype(jnp.bfloat16),
      jnp.asarray(centers),
      state.signs,
      where,
      block,
      w.dtype,
    )

  def view(w, state):
    return straight_through(leaf(w, state).decode(), w)

  def encode(w, state):
    return leaf(w, state)

  return leafwise(init, view, encode)


def _sizes(x, block):
  """The root of the mean square of each piece."""
  found, start = [], 0
  for size, count in pieces(x.shape[-1], block):
    part = jax.lax.slice_in_dim(x, start, start + size * count, axis=-1)
    start += size * count
    rows = part.reshape(*x.shape[:-1], count, size)
    # In units of the largest, so that no square overflows.
    largest = jnp.max(jnp.abs(rows), axis=-1, keepdims=True)
    unit = jnp.where(largest > 0, largest, 1)
    mean = jnp.mean((rows / unit) ** 2, axis=-1)
    found.append(jnp.sqrt(mean) * unit[..., 0])
  return jnp.concatenate(found, -1) if found else x


def _resolve_axis(axis, shape):
  if len(shape) < 2 or not -len(shape) <= axis < len(shape):
    raise ValueError(
      f'axis is {axis}; a weight {list(shape)} must have it, and another one. '
      'Give one of its axes, or select other leaves.'
    )
  return axis % len(shape)

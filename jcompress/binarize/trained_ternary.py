"""Trained ternary quantization: both magnitudes of a layer are learned."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jcompress.base import Compressor
from jcompress.binarize.latent import look_up
from jcompress.encoded import Codebook
from jcompress.leafwise import leafwise
from jcompress.mask import live_weights
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.wide import wide


class TernaryLatent(NamedTuple):
  weight: jax.Array
  positive: jax.Array  # what weights above the threshold become, a scalar
  negative: jax.Array  # those below become its negative, a scalar


class TrainedTernaryState(NamedTuple):
  live: jax.Array  # of the weight, bool: false where it was zero at init


def trained_ternary(
  threshold: float = 0.05,
  *,
  start: float | None = 1.0,
  keep_zeros: bool = False,
) -> Compressor:
  """Shows the model `W_p`, `0` or `-W_n`, and trains both and the weights.

  A weight is shown as `W_p` above `D`, as `-W_n` below `-D` and as zero
  between, with `D = threshold * max |w|` in each array. The gradient of `W_p`
  is the sum of those of its members, that of `W_n` minus the sum; a weight gets
  its gradient times the magnitude that it is shown as, or as it is where it is
  shown as zero. Magnitudes are kept from falling below zero. Weights that are
  zero at `init` stay zero.

  Args:
    threshold: `0 .. 1`, a fraction of the largest magnitude.
    start: of both magnitudes. `None` takes the means of what they replace, for
      networks whose layers do not normalize.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a threshold outside `0 .. 1`, a start that is not positive.

  References:
    Zhu et al., Trained Ternary Quantization, 2017, arXiv 1612.01064.
  """
  if not 0 <= threshold < 1:
    raise ValueError(f'threshold is {threshold}; it must lie in 0 .. 1.')
  if start is not None and not start > 0:
    raise ValueError(f'start is {start}; it must be positive, or None.')

  def signs_of(w):
    w = wide(w)
    cut = threshold * jnp.max(jnp.abs(w), initial=0)
    return (w > cut).astype(jnp.int8) - (w < -cut).astype(jnp.int8)

  def init(w):
    sign = signs_of(w)

    def magnitude(mine):
      if start is not None:
        return jnp.asarray(start, w.dtype)
      count = jnp.maximum(jnp.sum(mine, dtype=jnp.float32), 1)
      return jnp.sum(jnp.abs(wide(w)) / count, where=mine).astype(w.dtype)

    latent = TernaryLatent(w, magnitude(sign > 0), magnitude(sign < 0))
    return latent, TrainedTernaryState(live_weights(w, keep_zeros))

  def quantize(latent, state):
    """The three values, and the codes of the weights among them."""
    zero = jnp.zeros_like(latent.positive)
    centers = jnp.stack([-latent.negative, zero, latent.positive])
    codes = jnp.where(state.live, signs_of(latent.weight) + 1, 1)
    return centers, codes.astype(jnp.uint8)

  def view(latent, state):
    centers, codes = quantize(latent, state)
    value = wide(look_up(centers, codes))
    w, positive, negative = map(wide, latent)
    slope = jnp.where(codes == 2, positive, jnp.where(codes == 0, negative, 1))
    slope = jax.lax.stop_gradient(jnp.where(state.live, slope, 0))
    # Of value zero: the product of two large numbers would overflow.
    moves = lambda x: x - jax.lax.stop_gradient(x)
    carrier = slope * moves(w)
    carrier += jnp.where(codes == 2, moves(positive), 0)
    carrier -= jnp.where(codes == 0, moves(negative), 0)
    return straight_through(value, carrier).astype(latent.weight.dtype)

  def update(latent, state, grad):
    del grad
    above = lambda x: jnp.maximum(x, 0).astype(x.dtype)
    latent = latent._replace(
      positive=above(latent.positive), negative=above(latent.negative)
    )
    return latent, state

  def encode(latent, state):
    return Codebook(*quantize(latent, state))

  return leafwise(init, view, encode, update=update)

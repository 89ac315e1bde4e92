"""Loss-aware quantization to three values, or to those of m bits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.base import Compressor
from jcompress.binarize.latent import clip_to, look_up, require_choice
from jcompress.binarize.loss_aware import (
  curvature,
  next_moment,
  require_moment,
)
from jcompress.encoded import Codebook
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.prox import alternate, ternary, ternary_two_scales
from jcompress.numerics.whole import require_whole


class LossAwareState(NamedTuple):
  moment: jax.Array  # second, of the gradients at the view, float32
  centers: jax.Array  # [levels]: the values of the view
  codes: jax.Array  # of the weight: which of them it has, uint8
  live: jax.Array  # of the weight, bool: false where it was zero at init


def loss_aware_ternarize(
  *,
  solver: str = 'exact',
  scales: int = 1,
  b2: float = 0.999,
  eps: float = 1e-8,
  clip: bool = True,
  keep_zeros: bool = False,
) -> Compressor:
  """Shows the model the three values a layer that raise its loss least.

  As `loss_aware_binarize`, with `b` in `{-1, 0, 1}`: the view minimizes
  `sum d (w - alpha b)^2`. Weights that are zero at `init` stay zero.

  Args:
    solver: `'exact'` is the minimum; `'approximate'` fits scale and codes in
      turn, at most ten times, from the codes of the step before.
    scales: 1, or 2 for one of each sign.
    b2: decay of the second moment, that of Adam, `0 .. 1`.
    eps: added to its root.
    clip: clips the weights to `-1 .. 1` after each step.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a solver that it does not have; `scales` neither 1 nor 2; `b2`
      or `eps` out of range.

  References:
    Hou & Kwok, Loss-aware Weight Quantization of Deep Networks, 2018,
    arXiv 1802.08635.
  """
  require_choice('solver', solver, ('exact', 'approximate'))
  if scales not in (1, 2):
    raise ValueError(f'scales is {scales}; it must be 1, or 2 (one a sign).')

  def solve_one(w, d, codes):
    if solver == 'approximate':
      return alternate(w, d, nearest_third, _warm(codes, start(w)))
    return ternary(w, d)

  def solve(w, d, codes):
    if scales == 1:
      a, b = solve_one(w, d, codes)
      return jnp.stack([-a.ravel()[0], jnp.float32(0), a.ravel()[0]]), b
    if solver == 'exact':
      up, down = ternary_two_scales(w, d)
    else:
      up = solve_one(jnp.maximum(w, 0), d, jnp.maximum(codes, 0))
      down = solve_one(jnp.minimum(w, 0), d, jnp.minimum(codes, 0))
    a, b = up.scale.ravel()[0], down.scale.ravel()[0]
    return jnp.stack([-b, jnp.float32(0), a]), up.codes + down.codes

  def start(w):
    # The threshold of ternary weight networks: 0.7 of the mean magnitude.
    mean = jnp.sum(jnp.abs(w)) / max(1, w.size)
    return nearest_third(w / jnp.where(mean > 0, 1.4 * mean, 1))

  index = lambda b: b + 1
  levels = (-1.0, 0.0, 1.0)
  return _loss_aware(levels, index, start, solve, b2, eps, clip, keep_zeros)


def loss_aware_levels(
  bits: int,
  *,
  spacing: str = 'linear',
  b2: float = 0.999,
  eps: float = 1e-8,
  clip: bool = True,
  keep_zeros: bool = False,
) -> Compressor:
  """Shows the model the m-bit values that raise its loss least, about.

  As `loss_aware_ternarize(solver='approximate')`, with `2^m - 1` codes, zero
  among them; `bits=2` is ternary.

  Args:
    bits: `m`, `2 .. 8`.
    spacing: with `n = 2^(m - 1) - 1`: `'linear'` has the codes `k / n`, `k` in
      `-n .. n`; `'log'` has zero and plus and minus `1, 1/2, .. 2^-(n - 1)`
      (`m` up to 5).
    b2: decay of the second moment, that of Adam, `0 .. 1`.
    eps: added to its root.
    clip: clips the weights to `-1 .. 1` after each step.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: `bits` out of range, a spacing that it does not have; `b2` or
      `eps` out of range.

  References:
    Hou & Kwok, Loss-aware Weight Quantization of Deep Networks, 2018,
    arXiv 1802.08635.
  """
  require_choice('spacing', spacing, ('linear', 'log'))
  require_whole('bits', bits, 2, 8 if spacing == 'linear' else 5)
  count = 2 ** (bits - 1) - 1
  if spacing == 'linear':
    positive = [(k + 1) / count for k in range(count)]
    nearest = lambda x: nearest_linear(x, count)
    index = lambda b: jnp.round(b * count) + count
  else:
    positive = [2.0 ** (k + 1 - count) for k in range(count)]
    nearest = lambda x: nearest_power(x, count)
    place = lambda b: (jnp.frexp(b)[1] + count - 1).astype(b.dtype)
    index = lambda b: jnp.sign(b) * place(b) + count
  levels = (*(-v for v in reversed(positive)), 0.0, *positive)

  def solve(w, d, codes):
    a, b = alternate(w, d, nearest, _warm(codes, start(w)))
    return a.ravel()[0] * jnp.array(levels, jnp.float32), b

  def start(w):
    largest = jnp.max(jnp.abs(w), initial=0)
    return nearest(w / jnp.where(largest > 0, largest, 1))

  return _loss_aware(levels, index, start, solve, b2, eps, clip, keep_zeros)


def nearest_third(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """The nearest of `-1, 0, 1`."""
  return jnp.where(jnp.abs(x) > 0.5, jnp.sign(x), 0)


def nearest_linear(
  x: Float[Array, '*shape'], count: int
) -> Float[Array, '*shape']:
  """The nearest of `k / count`, `k` in `-count .. count`."""
  return jnp.round(jnp.clip(x, -1, 1) * count) / count


def nearest_power(
  x: Float[Array, '*shape'], count: int
) -> Float[Array, '*shape']:
  """The nearest of zero and plus and minus `1, 1/2, .. 2^-(count - 1)`.

  >>> nearest_power(jnp.array([0.8, 0.7, -0.2, 0.1]), 3).tolist()
  [1.0, 0.5, -0.25, 0.0]
  """
  # From 3/4 of a power on, that power is nearer than its half.
  fraction, exponent = jnp.frexp(jnp.abs(x))
  exponent = jnp.clip(
    exponent - (fraction < 0.75).astype(jnp.int32), 1 - count, 0
  )
  power = jnp.sign(x) * jnp.ldexp(jnp.float32(1), exponent)
  return jnp.where(jnp.abs(x) > 0.5**count, power, 0)


def _warm(codes, cold):
  """The codes to start from; zeros alone would stay zeros for ever."""
  return jnp.where(jnp.any(codes != 0), codes, cold)


def _loss_aware(levels, index, start, solve, b2, eps, clip, keep_zeros):
  """A compressor that solves once a step and shows what it found.

  Args:
    levels: the codes, as numbers, in rising order.
    index: of a code among the levels.
    start: the codes of an array of which nothing is known.
    solve: `(w, d, codes) -> (centers, codes)`.
  """
  require_moment(b2, eps)

  def solved(w, moment, live, codes):
    wide = w.astype(jnp.float32)
    centers, codes = solve(wide, curvature(moment, eps), codes)
    codes = index(codes).astype(jnp.uint8)
    return LossAwareState(moment, centers.astype(w.dtype), codes, live)

  def init(w):
    moment = jnp.zeros_like(w, jnp.float32)
    live = live_weights(w, keep_zeros)
    return w, solved(w, moment, live, start(w.astype(jnp.float32)))

  def view(w, state):
    value = look_up(state.centers, state.codes)
    return straight_through(value, apply_mask(w, state.live))

  def update(w, state, grad):
    moment = next_moment(state.moment, grad, b2)
    w = apply_mask(clip_to(w, 1) if clip else w, state.live)
    codes = look_up(jnp.array(levels, jnp.float32), state.codes)
    return w, solved(w, moment, state.live, codes)

  def encode(w, state):
    del w
    return Codebook(state.centers, state.codes)

  return leafwise(init, view, encode, update=update)

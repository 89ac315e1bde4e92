"""Linear quantization: weights on a uniform grid that follows their range."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.base import Compressor, no_update
from jcompress.encoded import Quantized
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.quantize.grouping import Axis, groups_of, require_groups
from jcompress.quantize.ranges import (
  least_error_share,
  narrowed,
  percentile_share,
  require_bits,
  require_calibration,
  require_scale_dtype,
)


class LinearState(NamedTuple):
  live: jax.Array  # of the weight, bool: false where it stays zero
  calls: Any  # of update so far, int32; () for 'absmax', as is the next
  shares: Any  # of the largest magnitudes of the groups, at which to clip


class _Grid(NamedTuple):
  """The multiples of `scale` from `low` to `high`; one of each a group."""

  scale: jax.Array
  inverse: jax.Array
  low: jax.Array
  high: jax.Array


def linear_quantize(
  bits: int = 8,
  *,
  axis: Axis = -1,
  symmetric: bool = True,
  tile: int | None = None,
  calibration: str = 'absmax',
  percentile: float = 99.9,
  every: int = 100,
  keep_zeros: bool = False,
  scale_dtype: str = 'float32',
) -> Compressor:
  """Trains weights through their rounding to a uniform grid.

  The latent is the weight `w` in full precision. Each group of weights has a
  scale `s`, which follows the group's largest `|w|` in every step, and

      view = s * clip(round(w / s), -m, m),  s = clip / m,  m = 2^(bits-1) - 1.

  The gradient passes straight through where `|w| <= clip`, and is zero outside;
  `s` is a constant to it. Zeros at `init` stay zero. Without training,
  `view(*init(params))` is post-training quantization.

  Args:
    bits: of a code, `2 .. 8`.
    axis: one scale for each index along it; a tuple for kernels with more than
      one output axis, such as `(1, 2)` of `[in, heads, head_dim]`; `None` for
      one scale a tensor. See `layers.Layer.out_axes` for the axes of a layer.
    symmetric: if false, the grid spans from the smallest to the largest weight
      in `2^bits` steps, and an integer zero point keeps zero on the grid.
    tile: splits each group into groups of this many consecutive indices along
      the last axis that is not in `axis`, the input axis of most kernels: 32,
      64 or 128 for the group-wise scales of language models.
    calibration: how the largest magnitude becomes the clip. `'absmax'`: as it
      is. `'percentile'`: the magnitude that this percentage of the weights that
      are not zero does not exceed. `'mse'`: the fraction of it, of `20 .. 100`
      percent, with the smallest squared error.
    percentile: in percent, above 50 and up to 100.
    every: finds the fraction anew in each `every`-th call of `update`, from the
      first call on; in between it is kept, and the largest magnitude followed.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.
    scale_dtype: `'float32'`, or `'bfloat16'`: the scales are rounded to it and
      shipped in it, half a bit a weight less in tiles of 32.

  Raises:
    ValueError: an argument out of range; in `init`, a weight that does not have
      the axes, or has no other axis.

  References:
    Vanhoucke et al., Improving the speed of neural networks on CPUs, 2011,
    Deep Learning and Unsupervised Feature Learning workshop.
    Jacob et al., Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference, 2018, arXiv 1712.05877, section 2.1.

  >>> comp = linear_quantize(axis=None)
  >>> latent, state = comp.init(jnp.array([[0.5, -1.27], [0.004, 0.026]]))
  >>> comp.encode(latent, state).codes
  Array([[  50, -127],
         [   0,    3]], dtype=int8)
  """
  require_bits(bits)
  require_groups(axis, tile)
  require_calibration(calibration, percentile)
  require_whole('every', every, 1)
  require_scale_dtype(scale_dtype)
  is_narrow = scale_dtype != 'float32'
  follows = calibration == 'absmax'
  steps = 2**bits - (2 if symmetric else 1)

  def sides(w):
    """How far weights reach to both sides of zero alike, or to each."""
    return (jnp.abs(w),) if symmetric else (-w, w)

  def largest(w):
    groups = groups_of(w.shape, axis, tile)
    return groups, [groups.reduce(x, jnp.max) for x in sides(w)]

  def find_shares(w):
    w = w.astype(jnp.float32)
    groups, ends = largest(w)
    if calibration == 'percentile':
      return [percentile_share(x, groups, percentile) for x in sides(w)]

    def error(share):
      grid = _grid([share * x for x in ends], steps, is_narrow)
      # In units of the grid, so that no square overflows.
      pace = groups.spread(grid.inverse)
      off = (_multiples(w, grid, groups) - w * pace) * share
      return groups.reduce(off**2, jnp.sum)

    return [least_error_share(error, groups.scale_shape)] * len(ends)

  def init(w):
    if follows:
      groups_of(w.shape, axis, tile)
      return w, LinearState(live_weights(w, keep_zeros), (), ())
    live, calls = live_weights(w, keep_zeros), jnp.zeros([], jnp.int32)
    return w, LinearState(live, calls, find_shares(w))

  def fit(w, state):
    """The groups, their clips and grids; constants to the gradient."""
    w = jax.lax.stop_gradient(w).astype(jnp.float32)
    groups, clips = largest(w)
    if not follows:
      clips = [share * x for share, x in zip(state.shares, clips, strict=True)]
    return w, groups, clips, _grid(clips, steps, is_narrow)

  def view(w, state):
    x, groups, clips, grid = fit(w, state)
    value = _multiples(x, grid, groups) * groups.spread(grid.scale)
    moves = state.live
    if not follows:
      for side, clip in zip(sides(x), clips, strict=True):
        moves &= side <= groups.spread(clip)
    # A zero is rounded to zero: it is enough that no gradient moves it.
    return straight_through(value.astype(w.dtype), apply_mask(w, moves))

  def encode(w, state):
    x, groups, _, grid = fit(w, state)
    codes = _multiples(x, grid, groups)
    zero, dtype = None, jnp.int8
    if not symmetric:
      codes, dtype = codes - groups.spread(grid.low), jnp.uint8
      zero = (-grid.low).astype(dtype)
    scale = grid.scale.astype(scale_dtype)
    return Quantized(codes.astype(dtype), scale, zero, groups.tile, w.dtype)

  def update(w, state, grad):
    del grad
    now = state.calls % every == 0
    shares = jax.lax.cond(now, lambda: find_shares(w), lambda: state.shares)
    return w, LinearState(state.live, state.calls + 1, shares)

  return leafwise(init, view, encode, update=no_update if follows else update)


def _grid(clips, steps, is_narrow):
  """The grid of so many steps from minus the first clip to the last one."""
  half = clips[0] / 2 + clips[-1] / 2  # the sum might overflow
  # One product with a constant is the same inside and outside of jit.
  scale = half * np.float32(2 / steps)
  found = scale >= np.finfo(np.float32).tiny  # else a group of zeros
  scale = jnp.where(found, scale, 1)
  inverse = (steps / 2) / jnp.where(found, half, steps / 2)
  if is_narrow:
    scale = narrowed(scale)
    inverse = 1 / scale
  # On both sides alike, the middle is known: a constant makes a faster step.
  middle = jnp.full_like(scale, steps // 2)
  zero = middle if len(clips) == 1 else jnp.round(clips[0] * inverse)
  zero = jnp.minimum(zero, steps)
  return _Grid(scale, inverse, -zero, steps - zero)


def _multiples(w, grid, groups):
  """The nearest multiple of the scale for each weight, a whole float."""
  inverse, low, high = (
    groups.spread(x) for x in (grid.inverse, grid.low, grid.high)
  )
  return jnp.clip(jnp.round(w * inverse), low, high)

"""Weights on grids that are no lines: NF4, small floats, microscaling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.base import Compressor
from jcompress.encoded import Blocks
from jcompress.encoded.blocks import power_of_two
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.quantize.grids import find_grid, nearest_codes, shared_exponents
from jcompress.quantize.grouping import Axis, groups_of, require_groups
from jcompress.quantize.ranges import narrowed, require_scale_dtype


class GridState(NamedTuple):
  live: jax.Array  # of the weight, bool: false where it stays zero


def grid_quantize(
  grid: str = 'nf4',
  *,
  block: int | None = None,
  axis: Axis = -1,
  scale_dtype: str = 'bfloat16',
  keep_zeros: bool = False,
) -> Compressor:
  """Trains weights through their rounding to the nearest value of a grid.

  The latent is the weight `w` in full precision. Each block of weights has a
  scale `s` that follows its largest `|w|` in every step, and

      view = s * nearest(w / s).

  The gradient passes straight through, and `s` is a constant to it. Zeros at
  `init` stay zero. Without training, `view(*init(params))` is post-training
  quantization.

  Args:
    grid: `'nf4'`, 16 quantiles of a normal variable; `'fp4'` (e2m1), `'e4m3'`
      and `'e5m2'`, floats of 4 and 8 bits: these have `s = max|w| / max(grid)`.
      `'mxfp4'`, `'mxfp6_e2m3'`, `'mxfp6_e3m2'`, `'mxfp8_e4m3'`, `'mxfp8_e5m2'`,
      the microscaling formats: `s` is a power of two in a byte, and what it
      leaves above the largest value of the grid is cut off.
    block: so many consecutive indices along the last axis that is not in `axis`
      share a scale, `>= 2`. Default: 64 for 4 bits, 32 for microscaling, and
      all for floats of 8 bits.
    axis: see `linear_quantize`.
    scale_dtype: of the scales that are no powers of two, `'bfloat16'` or
      `'float32'`.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: an unknown grid, an argument out of range; in `init`, a weight
      that does not have the axes, or has no other axis.

  References:
    Dettmers et al., QLoRA, 2023, arXiv 2305.14314, section 3 (NF4).
    Micikevicius et al., FP8 Formats for Deep Learning, 2022, arXiv 2209.05433.
    Rouhani et al., Microscaling Data Formats for Deep Learning, 2023, arXiv
    2310.10537.

  >>> comp = grid_quantize('mxfp4')
  >>> w = jnp.array([[0.9, 0.2, -0.4, 0.06]]).T
  >>> print(comp.view(*comp.init(w)).ravel())
  [ 0.75    0.1875 -0.375   0.0625]
  """
  found = find_grid(grid)
  if block is None:
    block = found.block
  else:
    require_whole('block', block, 2)
  require_groups(axis, block)
  require_scale_dtype(scale_dtype)

  def init(w):
    groups_of(w.shape, axis, block)
    return w, GridState(live_weights(w, keep_zeros))

  def fit(w):
    """The groups, the scales as they are shipped and as floats, the codes."""
    w = jax.lax.stop_gradient(w).astype(jnp.float32)
    groups = groups_of(w.shape, axis, block)
    largest = groups.reduce(jnp.abs(w), jnp.max)
    if found.is_mx:
      shipped = shared_exponents(largest, found.values)
      scale = power_of_two(shipped)
    else:
      scale = largest / np.float32(found.values[-1])
      scale = jnp.where(scale >= np.finfo(np.float32).tiny, scale, 1)
      scale = narrowed(scale) if scale_dtype == 'bfloat16' else scale
      shipped = scale.astype(scale_dtype)
    codes = nearest_codes(w / groups.spread(scale), found.values)
    return groups, shipped, codes

  def leaf(w):
    groups, scale, codes = fit(w)
    centers = jnp.asarray(found.values)
    return Blocks(codes, scale, centers, groups.tile, w.dtype)

  def view(w, state):
    # A zero is rounded to zero: it is enough that no gradient moves it.
    return straight_through(leaf(w).decode(), apply_mask(w, state.live))

  def encode(w, state):
    del state
    return leaf(w)

  return leafwise(init, view, encode)

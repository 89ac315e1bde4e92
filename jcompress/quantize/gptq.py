"""GPTQ: weights are rounded in turns, and those that follow make up for it."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.encoded import Quantized
from jcompress.finite import require_finite
from jcompress.prune.column_blocks import pattern_of, prune_columns
from jcompress.prune.inverse_factor import factor_inverse
from jcompress.quantize.host_grid import (
  HostGrid,
  choose,
  fit_grid,
  fit_groups,
  grid_rule,
  group_numbers,
  nearest,
  quantized_leaf,
  round_groups,
)


class GptqReport(NamedTuple):
  """What `gptq` did. Every number is measured on the result."""

  error: float  # |X W' - X W|^2 / |X W|^2, under the Hessian without damping
  nearest: float  # the same of rounding to nearest, without pruning
  sparsity: float  # fraction of the weights that are zero
  damping: float  # what was added to the diagonal of the Hessian
  singular: bool  # whether the Hessian has no inverse without that
  dead: int  # how many inputs were zero in all examples


def gptq(
  w: Float[Array | np.ndarray, '*inputs out'],
  hessian: Float[Array | np.ndarray, 'in in'],
  bits: int,
  *,
  group: int | None = None,
  symmetric: bool = True,
  damping: float = 0.01,
  order: str | None = None,
  sparsity: float = 0.0,
  pattern: str | None = None,
  calibration: str = 'mse',
  scale_dtype: str = 'float32',
) -> tuple[Quantized, GptqReport]:
  """Rounds a layer so that its outputs change least; prunes it on the way.

  The error `|X W' - X W|^2` is a quadratic in each output's weights with the
  one Hessian `H = X^T X`. The inputs are rounded one after the other, and what
  that costs is made up for by all that are not rounded yet: by Optimal Brain
  Surgeon, from one factor of the inverse of `H`. Where no weight is pruned, an
  output for which rounding to nearest is better keeps that.

  Exact zeros stay zero.

  Args:
    w: kernel of a dense layer, or of a convolution seen as one: all axes but
      the last are inputs.
    hessian: `X^T X` of the inputs, see `layer_obs`; its scale does not matter.
    bits: of a code, `2 .. 8`.
    group: so many consecutive inputs of an output share a scale, along the last
      axis of inputs as the tiles of `linear_quantize`; default: all.
    symmetric: if false, codes are unsigned and have a zero point.
    damping: added to the diagonal of the Hessian, as a fraction of its mean
      over the inputs that are not dead, `>= 0`.
    order: `'activation'` rounds the inputs of the largest second moments first,
      while many are left that can make up for it; with the grids of the groups
      of the given weights. `'given'` takes them as they stand; the grids of the
      groups of a matrix are then fitted when their turn comes. Default:
      activation, and given where weights are pruned.
    sparsity: fraction of the weights to prune together with the rounding, `0 ..
      1`, the same in each 128 inputs, by what it costs.
    pattern: instead: `'2:4'` keeps two of every four consecutive inputs of an
      output, `'n:m'` in general.
    calibration: `'absmax'` clips nothing; `'mse'` clips each group where its
      squared error, weighted by the second moments of the inputs, is least.
    scale_dtype: `'float32'` or `'bfloat16'`.

  Returns:
    The encoded leaf, and a report.

  Raises:
    ValueError: an argument out of range, sparsity beside a pattern, a pattern
      in another order; a Hessian that does not fit, is not symmetric positive
      semi-definite, or has no inverse and no damping.

  >>> hessian = np.array([[1.0, 0, 0], [0, 1, 0.9], [0, 0.9, 1]])
  >>> w = np.array([[3.0], [1.4], [1.4]], np.float32)
  >>> leaf, report = gptq(w, hessian, 3, calibration='absmax', damping=0.0)
  >>> print(leaf.codes.ravel(), report.error < 0.2 * report.nearest)
  [3 1 2] True

  References:
    Frantar et al., GPTQ, 2022, arXiv 2210.17323, algorithm 1.
    Frantar & Alistarh, SparseGPT, 2023, arXiv 2301.00774, section 3.5 (pruning
    and rounding together).
  """
  require_finite(w, 'gptq')
  rule = grid_rule(bits, symmetric, calibration, scale_dtype)
  numbers = group_numbers(w.shape, group)
  group = group if len(numbers) else None
  inputs = math.prod(w.shape[:-1])
  keep = None if pattern is None else pattern_of(pattern, inputs)
  order = _resolve_order(order, sparsity, pattern)
  rows = tree.to_host(w).astype(np.float64).reshape(inputs, w.shape[-1]).T
  found = factor_inverse(hessian, inputs, damping, sort=order == 'activation')

  weight = np.diagonal(found.hessian)
  near = fit_groups(rows, numbers, rule, weight)
  rounded = round_groups(rows, numbers, near, rule)
  follows = group if order == 'given' and w.ndim == 2 else None
  new, grid = _sweep(rows, found, numbers, near, rule, follows, sparsity, keep)
  energy = lambda change, h: np.einsum('oi,oi->o', change @ h, change)
  if not sparsity and keep is None:
    worse = energy(new - rows, found.damped) > energy(
      rounded - rows, found.damped
    )
    new = np.where(worse[:, None], rounded, new)
    grid = choose(worse[:, None], near, grid)

  total = energy(rows, found.hessian).sum()
  share = lambda x: float(
    energy(x - rows, found.hessian).sum() / total if total > 0 else 0
  )
  leaf = quantized_leaf(new, grid, rule, w.shape, w.dtype, group)
  shipped = tree.to_host(leaf.decode()).astype(np.float64)
  shipped = shipped.reshape(inputs, w.shape[-1]).T
  report = GptqReport(
    error=share(shipped),
    nearest=share(rounded),
    sparsity=float(np.sum(shipped == 0) / max(1, shipped.size)),
    damping=found.added,
    singular=found.singular,
    dead=int(found.dead.sum()),
  )
  return leaf, report


def _sweep(rows, found, numbers, near, rule, follows, sparsity, keep):
  """The rounded rows, and the grids that they lie on."""
  scale, zero = near.scale.copy(), near.zero.copy()
  weight = np.diagonal(found.hessian)

  def rounded(j, adjusted):
    g = numbers[found.order[j]]
    if follows and j % follows == 0:
      members = slice(j, j + follows)
      scale[:, g], zero[:, g] = fit_grid(
        adjusted[:, members], rule, weight[members]
      )
    return nearest(adjusted[:, j], HostGrid(scale[:, g], zero[:, g]), rule)

  swept = prune_columns(
    rows[:, found.order],
    found.factor,
    sparsity,
    keep,
    rounded=rounded,
    span_of=follows or 1,
  )
  new = np.empty_like(swept)
  new[:, found.order] = swept
  return new, HostGrid(scale, zero)


def _resolve_order(order, sparsity, pattern):
  if not 0 <= sparsity <= 1:
    raise ValueError(f'sparsity is {sparsity}; it must lie in 0 .. 1.')
  if sparsity and pattern is not None:
    raise ValueError(
      f'Give sparsity or pattern, not both: got {sparsity=}, {pattern=}.'
    )
  if order is None:
    return 'given' if sparsity or pattern is not None else 'activation'
  if order not in ('activation', 'given'):
    raise ValueError(f"order is {order!r}; it must be 'activation' or 'given'.")
  if order == 'activation' and pattern is not None:
    raise ValueError(
      f"A pattern {pattern!r} is of consecutive inputs: give order='given'."
    )
  return order

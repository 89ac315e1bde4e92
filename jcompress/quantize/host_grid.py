"""Uniform grids of groups of weights, fitted on the host in float64."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jcompress.encoded import Quantized
from jcompress.numerics.whole import require_whole
from jcompress.quantize.grouping import groups_of
from jcompress.quantize.ranges import (
  SHARES,
  require_bits,
  require_calibration,
  require_scale_dtype,
)


class GridRule(NamedTuple):
  """How weights become a grid; the arguments are those of `linear_quantize`."""

  bits: int
  symmetric: bool
  calibration: str
  scale_dtype: str

  @property
  def ends(self) -> tuple[int, int]:
    """The least and the largest code."""
    most = 2 ** (self.bits - 1) - 1
    return (-most, most) if self.symmetric else (0, 2**self.bits - 1)


class HostGrid(NamedTuple):
  """What weights are rounded to: `(code - zero) * scale`.

  Attributes:
    scale: of each group; exact in the dtype in which it is shipped.
    zero: whole, the code of zero.
  """

  scale: Float[np.ndarray, '...']
  zero: Float[np.ndarray, '...']


def grid_rule(
  bits: int, symmetric: bool, calibration: str, scale_dtype: str
) -> GridRule:
  """Checks the settings of grids.

  Raises:
    ValueError: one that is out of range.
  """
  require_bits(bits)
  require_scale_dtype(scale_dtype)
  if calibration == 'percentile':
    raise ValueError("calibration is 'percentile'; give 'absmax' or 'mse'.")
  require_calibration(calibration, 100)
  return GridRule(bits, symmetric, calibration, scale_dtype)


def fit_grid(
  rows: Float[np.ndarray, 'out members'],
  rule: GridRule,
  weight: Float[np.ndarray, ' members'] | float = 1.0,
) -> HostGrid:
  """One grid for each row.

  Args:
    rows: the members of a group.
    rule: of the grid.
    weight: what the square of an error of each member counts, for `'mse'`.
  """
  best: HostGrid = _grid(rows, rule, 1.0)
  least = np.full(len(rows), np.inf)
  if rule.calibration == 'absmax':
    return best
  for share in SHARES[::-1].astype(np.float64):
    grid = _grid(rows, rule, share)
    columns = HostGrid(grid.scale[:, None], grid.zero[:, None])
    error = (nearest(rows, columns, rule) - rows) ** 2
    total = np.sum(error * weight, axis=1)
    better = total < least
    least = np.where(better, total, least)
    best = choose(better, grid, best)
  return best


def choose(
  first: Bool[np.ndarray, '...'], a: HostGrid, b: HostGrid
) -> HostGrid:
  """The grids of `a` where `first`, elsewhere those of `b`."""
  return HostGrid._make(np.where(first, *x) for x in zip(a, b, strict=True))


def nearest(
  x: Float[np.ndarray, '...'], grid: HostGrid, rule: GridRule
) -> Float[np.ndarray, '...']:
  """The nearest value on a grid that broadcasts against the weights."""
  low, high = rule.ends
  multiples = np.rint(x / grid.scale)
  return grid.scale * np.clip(multiples, low - grid.zero, high - grid.zero)


def group_numbers(
  shape: tuple[int, ...], group: int | None
) -> Int[np.ndarray, ' in']:
  """The group of each input of a kernel, all axes but the last one flat.

  Raises:
    ValueError: the kernel has no inputs, or the group is no whole number.
  """
  groups_of(shape, -1, None)
  if group is not None:
    require_whole('group', group, 2)
  inputs = int(np.prod(shape[:-1]))
  if group is None:
    return np.zeros(inputs, np.int64)
  return np.arange(inputs) % shape[-2] // group


def quantized_leaf(
  rows: Float[np.ndarray, 'out in'],
  grid: HostGrid,
  rule: GridRule,
  shape: tuple[int, ...],
  dtype: Any,
  group: int | None,
) -> Quantized:
  """The leaf of values that lie on their grids.

  Args:
    rows: of one output each.
    grid: of each group of each output, `[out, groups]`.
    rule: of the grid.
    shape: of the kernel.
    dtype: that the leaf decodes to.
    group: consecutive inputs of an output with a scale of their own.
  """
  groups = groups_of(shape, -1, group)
  numbers = group_numbers(shape, group)
  codes = np.rint(rows / grid.scale[:, numbers]) + grid.zero[:, numbers]
  kind = jnp.int8 if rule.symmetric else jnp.uint8
  form = lambda x, shape, kind: jnp.asarray(x.T.reshape(shape), kind)
  zero = None
  if not rule.symmetric:
    zero = form(grid.zero, groups.scale_shape, kind)
  scale = form(grid.scale, groups.scale_shape, rule.scale_dtype)
  codes = form(codes, shape, kind)
  leaf: Any = Quantized
  return leaf(codes, scale, zero, groups.tile, jnp.dtype(dtype))


def fit_groups(
  rows: Float[np.ndarray, 'out in'],
  numbers: Int[np.ndarray, ' in'],
  rule: GridRule,
  weight: Float[np.ndarray, ' in'],
) -> HostGrid:
  """The grid of each group of each row, `[out, groups]`; see `fit_grid`.

  Args:
    rows: weights of one output each.
    numbers: the group of each input.
    rule: of the grids.
    weight: of the squares of the errors of each input.
  """
  parts = [
    fit_grid(rows[:, numbers == g], rule, weight[numbers == g])
    for g in range(numbers.max(initial=0) + 1)
  ]
  return HostGrid._make(np.stack(x, 1) for x in zip(*parts, strict=True))


def round_groups(
  rows: Float[np.ndarray, 'out in'],
  numbers: Int[np.ndarray, ' in'],
  grid: HostGrid,
  rule: GridRule,
) -> Float[np.ndarray, 'out in']:
  """Each weight's nearest value on the grid of its group."""
  each = HostGrid(grid.scale[:, numbers], grid.zero[:, numbers])
  return nearest(rows, each, rule)


def _grid(rows, rule, share):
  low, high = rule.ends
  if rule.symmetric:
    below = above = np.abs(rows).max(axis=1, initial=0) * share
  else:
    below, above = (np.max(x, axis=1, initial=0) * share for x in (-rows, rows))
  dtype = jnp.dtype(rule.scale_dtype)
  scale = ((below + above) / (high - low)).astype(dtype).astype(np.float64)
  limits = jnp.finfo(dtype)
  scale = np.where(scale < limits.tiny, 1, np.minimum(scale, limits.max))
  zero = np.zeros_like(scale)
  if not rule.symmetric:
    zero = np.clip(np.rint(below / scale), low, high)
  return HostGrid(scale, zero)

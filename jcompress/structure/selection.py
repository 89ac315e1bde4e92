"""Chooses the units of a group to keep by their scores."""

import math
from typing import Any

import numpy as np
from jaxtyping import Int

from jcompress.channels.groups import Group


def select_units(
  group: Group,
  scores: Any,
  *,
  sparsity: float | None = None,
  count: int | None = None,
  multiple_of: int = 1,
) -> Int[np.ndarray, ' kept']:
  """Finds the units with the largest scores, for `ChannelGraph.plan`.

  Units already are whole heads, whole groups of a convolution or whole
  positions, so that any number of them can be kept. Of equal scores the first
  is kept.

  Args:
    group: of a `ChannelGraph`.
    scores: one number a unit.
    sparsity: the fraction of units to remove, `0 <= sparsity < 1`; rounded down
      to whole units.
    count: instead of it: how many units to keep.
    multiple_of: the number of units is rounded up to a multiple of this, at
      most to all. For hardware that wants multiples of 8 channels where a unit
      owns `m` of them: `lcm(8, m) // m`.

  Returns:
    Their numbers, sorted.

  Raises:
    ValueError: an option out of range, or not exactly one of `sparsity` and
      `count`; scores of another shape, NaN or inf.
  """
  scores = np.asarray(scores, np.float64)
  if scores.shape != (group.size,):
    raise ValueError(
      f'Group {group.name!r} has {group.size} units; the scores have shape '
      f'{scores.shape}.'
    )
  if not np.isfinite(scores).all():
    raise ValueError(f'The scores of group {group.name!r} hold NaN or inf.')
  if multiple_of < 1:
    raise ValueError(f'multiple_of is {multiple_of}; it must be at least 1.')
  wanted = _count(group.size, sparsity, count)
  wanted = min(math.ceil(wanted / multiple_of) * multiple_of, group.size)
  return np.sort(np.argsort(-scores, kind='stable')[:wanted])


def _count(size, sparsity, count):
  if (sparsity is None) == (count is None):
    raise ValueError(
      f'Give exactly one of sparsity and count, got {sparsity=}, {count=}.'
    )
  if sparsity is not None and not 0 <= sparsity < 1:
    raise ValueError(f'sparsity is {sparsity}; it must lie in [0, 1).')
  if count is not None and not 1 <= count <= size:
    raise ValueError(f'count is {count}; it must lie in 1 .. {size}.')
  # 0.3 of 10 units are 3, although the product is a little less.
  return count or size - math.floor(size * sparsity + 1e-9)

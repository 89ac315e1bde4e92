"""The channel groups of a model, and plans of which units to remove."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Bool

from jcompress.channels.analysis import Analysis, Frame
from jcompress.channels.groups import Group, Place
from jcompress.channels.labels import Labels
from jcompress.channels.tracked import Tracked

Keep = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ChannelGraph:
  """What `channel_groups` found in one traced computation. `str` explains it.

  Attributes:
    groups: by name.
    frozen: why each axis without a removable index cannot change.
    unknown: how often each operation without a rule was met. All that met one
      of them is frozen.
    leaves: labels of each leaf of the params, by its path.
    closed: the computation.
    out: the structure of its result.
    analysis: all that the walk over it found.
    frame: the labels of its variables.
    ties: paths of leaves that are the array under an earlier path, with that.
  """

  groups: dict[str, Group]
  frozen: dict[Place, str]
  unknown: dict[str, int]
  leaves: dict[str, Tracked]
  closed: ClosedJaxpr
  out: Any
  analysis: Analysis
  frame: Frame
  ties: Mapping[str, str] = dataclasses.field(default_factory=dict)

  def plan(self, keep: Keep) -> 'Plan':
    """Decides what is kept.

    Args:
      keep: for each group that shrinks, by its name, the numbers of the units
        to keep, or one boolean for each unit.

    Raises:
      ValueError: no such group; not units of the group; nothing is removed; an
        axis, and with it a layer, would be empty.
    """
    units = {name: self._units(name, chosen) for name, chosen in keep.items()}
    removed = [
      np.delete(self.groups[name].atoms, kept) for name, kept in units.items()
    ]
    if not sum(map(len, removed)):
      raise ValueError(
        f'The plan removes nothing. Keep fewer units of some of the groups: '
        f'{_listed(self.groups)}.'
      )
    plan = Plan(self, units, self.analysis.store.mask(np.concatenate(removed)))
    for path, array in self.leaves.items():
      for axis, labels in enumerate(array.labels):
        if len(labels) and not plan.kept(labels).any():
          raise ValueError(
            f'Axis {axis} of {path} would become empty: a layer cannot be '
            'removed whole. Keep at least one unit of each of its groups.'
          )
    return plan

  def _units(self, name, chosen):
    if name not in self.groups:
      raise ValueError(
        f'There is no group {name!r}, only: {_listed(self.groups)}.'
      )
    size, chosen = self.groups[name].size, np.asarray(chosen)
    if chosen.dtype == bool and chosen.shape == (size,):
      chosen = np.flatnonzero(chosen)
    is_whole = chosen.size == 0 or np.issubdtype(chosen.dtype, np.integer)
    units = chosen.ravel().astype(np.int64) if is_whole else np.array([-1])
    distinct = len(np.unique(units)) == units.size
    if chosen.ndim != 1 or not distinct or not _within(units, size):
      raise ValueError(
        f'Group {name!r} has {size} units; keep different numbers from 0 to '
        f'{size - 1}, or give a boolean for each, not {chosen.dtype} of shape '
        f'{chosen.shape}. A unit owns {self.groups[name].places}, so that no '
        'group of a convolution and no head is cut unevenly.'
      )
    return np.sort(units)

  def __str__(self) -> str:
    lines = [f'{len(self.groups)} groups']
    for group in self.groups.values():
      lines += [f'  {group}', *(f'    note: {note}' for note in group.notes)]
    lines += [f'{len(self.frozen)} axes that cannot change']
    lines += [f'  {p}:{axis}: {why}' for (p, axis), why in self.frozen.items()]
    if self.unknown:
      lines.append(f'operations without a rule: {_listed(self.unknown)}')
    captured = sum(np.size(v) for _, v, _ in self.analysis.constants)
    if captured:
      lines.append(
        f'{captured} numbers are constants of the computation; params that a '
        'function captures instead of taking them as an argument are there'
      )
    return '\n'.join(lines)


@dataclasses.dataclass(frozen=True)
class Plan:
  """Which units of a graph are kept.

  Attributes:
    graph: of the network as it was traced.
    keep: numbers of the kept units of each group that shrinks, sorted.
    removed: which nodes of the store of labels are removed atoms.
  """

  graph: ChannelGraph
  keep: dict[str, np.ndarray]
  removed: Bool[np.ndarray, ' nodes'] = dataclasses.field(repr=False)

  def kept(self, labels: Labels) -> Bool[np.ndarray, ' _']:
    """Which indices of an axis stay."""
    return self.graph.analysis.store.kept(labels, self.removed)

  def indices(self, labels: Labels) -> Labels:
    """The indices of an axis that stay, in order."""
    return np.flatnonzero(self.kept(labels))

  def shape(self, array: Tracked) -> tuple[int, ...]:
    """What is left of an array."""
    return tuple(int(self.kept(axis).sum()) for axis in array.labels)

  @property
  def shapes(self) -> dict[str, tuple[int, ...]]:
    """The new shape of each leaf that shrinks."""
    shapes = {p: self.shape(array) for p, array in self.graph.leaves.items()}
    before = self.graph.leaves
    return {p: s for p, s in shapes.items() if s != before[p].shape}


def _within(units, size):
  return bool(((units >= 0) & (units < size)).all())


def _listed(names):
  return ', '.join(names) or 'none'

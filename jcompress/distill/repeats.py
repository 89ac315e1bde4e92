"""A channel graph in which units are there several times."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jcompress.channels.graph import ChannelGraph
from jcompress.channels.interpreter import called
from jcompress.channels.labels import Labels
from jcompress.channels.tracked import Tracked


class Sum(NamedTuple):
  """A sum of products over one axis of two arrays."""

  labels: Labels
  arrays: tuple[Tracked, Tracked]
  axes: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Repeats:
  """How often each unit of some groups is there.

  Copies follow what they are copies of, so that slices, splits and
  concatenations keep their order. Where a unit owns indices side by side, as
  the positions of a channel in a flatten of channels first, they are copied
  together.

  Attributes:
    graph: of the network as it was traced.
    counts: by name of a group, one number a unit, at least 1.
  """

  graph: ChannelGraph
  counts: dict[str, Int[np.ndarray, ' units']]

  def indices(self, labels: Labels) -> Labels:
    """The index as traced of each index of an axis."""
    found = np.arange(len(labels))
    for name, counts in self.counts.items():
      units = self._units(name, labels)
      if (units >= 0).any():
        found = _repeated(found, units[found], counts)
    return found

  def shape(self, array: Tracked) -> tuple[int, ...]:
    """The new shape of an array."""
    return tuple(len(self.indices(labels)) for labels in array.labels)

  def times(self, labels: Labels) -> Int[np.ndarray, ' _']:
    """How often each index of an axis as traced is there."""
    times = np.ones(len(labels), np.int64)
    for name, counts in self.counts.items():
      units = self._units(name, labels)
      times *= np.where(units >= 0, counts[units], 1)
    return times

  def summed(self) -> Iterator[Sum]:
    """The sums of products over repeated units."""
    for found in _sums(self.graph.closed.jaxpr, self.graph.frame):
      if (self.times(found.labels) > 1).any():
        yield found

  def _units(self, name, labels):
    """The unit of the group that owns each index; -1 where there is none."""
    store = self.graph.analysis.store
    number = np.full(len(store), -1)
    atoms = self.graph.groups[name].atoms
    number[atoms] = np.arange(len(atoms))
    index, atom = store.expand(labels)
    units = number[atom]
    index, units = index[units >= 0], units[units >= 0]
    if len(np.unique(index)) < len(index):
      raise ValueError(
        f'Units of {name!r} meet each other along one axis, as in an outer '
        'product, and cannot be repeated.'
      )
    found = np.full(len(labels), -1)
    found[index] = units
    return found


def _repeated(found, units, counts):
  """Repeats each run of one unit."""
  starts = np.flatnonzero(np.diff(units, prepend=-2))
  ends = np.append(starts[1:], len(units))
  times = np.where(units[starts] >= 0, counts[units[starts]], 1)
  runs = zip(starts, ends, times, strict=True)
  return np.concatenate([np.tile(found[a:b], n) for a, b, n in runs])


def _sums(jaxpr, frame) -> Iterator[Sum]:
  jaxpr = getattr(jaxpr, 'jaxpr', jaxpr)
  for i, eqn in enumerate(jaxpr.eqns):
    if eqn.primitive.name == 'dot_general':
      a, b = (frame.arrays[v] for v in eqn.invars)
      (axes_a, axes_b), _ = eqn.params['dimension_numbers']
      for axes in zip(axes_a, axes_b, strict=True):
        yield Sum(b.labels[axes[1]], (a, b), axes)
    elif eqn.primitive.name == 'conv_general_dilated':
      x, kernel = (frame.arrays[v] for v in eqn.invars)
      numbers = eqn.params['dimension_numbers']
      axes = numbers.lhs_spec[1], numbers.rhs_spec[1]
      # Inputs of one group of several, which a depthwise one has but one of.
      yield Sum(kernel.labels[axes[1]], (x, kernel), axes)
    elif inner := frame.inner.get(i):
      for body, own in zip(called(eqn), inner, strict=True):
        yield from _sums(body, own)

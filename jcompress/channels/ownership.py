"""Which atoms own which indices of arrays, and which of them own alike."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from jcompress.channels.labels import Labels, LabelStore
from jcompress.channels.tracked import Tracked

Place = tuple[str, int]  # path of a leaf, axis


class Ownership(NamedTuple):
  """Pairs of an atom and an index that it owns, place by place, in order.

  Attributes:
    places: the axes of arrays that there are.
    place: the number of that of each pair.
    atom: of each pair.
    position: of the index along that axis.
    alone: the index has no other atom.
  """

  places: list[Place]
  place: Labels
  atom: Labels
  position: Labels
  alone: Bool[np.ndarray, ' _']


class Alike(NamedTuple):
  """Atoms that own as many indices at the same places as each other.

  Attributes:
    atoms: in the order in which they were made.
    owned: their indices, one row an atom, by place.
    alone: the places where each of them somewhere is the only atom.
  """

  atoms: Int[np.ndarray, ' units']
  owned: dict[Place, Int[np.ndarray, 'units m']]
  alone: set[Place]


def ownership(
  store: LabelStore, arrays: Iterable[tuple[str, Tracked]]
) -> Ownership:
  """Finds the free atoms of all axes of some arrays with names."""
  places: list[Place] = []
  parts = []
  for name, array in arrays:
    for axis, labels in enumerate(array.labels):
      index, atom = store.expand(labels)
      if len(index):
        alone = np.bincount(index)[index] == 1
        place = np.full(len(index), len(places))
        parts.append((place, atom, index, alone))
        places.append((name, axis))
  if not parts:
    none = np.zeros(0, np.int64)
    return Ownership([], none, none, none, none.astype(bool))
  return Ownership(places, *map(np.concatenate, zip(*parts, strict=True)))


def alike(owners: Ownership) -> Iterator[Alike]:
  """Divides all atoms by how much they own where, in order of that."""
  order = np.argsort(owners.atom, kind='stable')
  atom, place = owners.atom[order], owners.place[order]
  index, alone = owners.position[order], owners.alone[order]
  if not len(atom):
    return
  turns = (atom[1:] != atom[:-1]) | (place[1:] != place[:-1])
  start = np.concatenate([[0], np.flatnonzero(turns) + 1])
  count = np.diff(start, append=len(atom))
  own, first, runs = np.unique(
    atom[start], return_index=True, return_counts=True
  )
  keys = place[start] * (len(atom) + 1) + count
  kind = np.unique(keys, return_inverse=True)[1]
  which = _rows_alike(kind, first, runs)
  by_kind = np.argsort(which, kind='stable')
  ends = np.cumsum(np.bincount(which))
  found = []
  for members in np.split(by_kind, ends[:-1]):
    owned, solo = {}, set()
    for run in range(runs[members[0]]):
      at = start[first[members] + run]
      where = owners.places[place[at[0]]]
      pick = at[:, None] + np.arange(count[first[members[0]] + run])
      owned[where] = index[pick]
      if alone[pick].any(1).all():
        solo.add(where)
    found.append(Alike(own[members], owned, solo))
  extent = lambda a: sorted((p, x.shape[1]) for p, x in a.owned.items())
  yield from sorted(found, key=extent)


def _rows_alike(values, first, lengths):
  """Numbers that are the same for rows, of different lengths, that are."""
  numbers, known = np.zeros(len(first), np.int64), 1
  for i in range(lengths.max()):
    longer = lengths > i
    keys = numbers[longer] * (values.max() + 1) + values[first[longer] + i]
    distinct, inverse = np.unique(keys, return_inverse=True)
    numbers[longer] = known + inverse
    known += len(distinct)
  return np.unique(numbers, return_inverse=True)[1]

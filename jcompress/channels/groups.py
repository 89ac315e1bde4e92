"""Units and groups: what the labels of an analysis say about parameters."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from jcompress.channels.analysis import Analysis
from jcompress.channels.labels import Labels
from jcompress.channels.ownership import Alike, alike, ownership
from jcompress.channels.ownership import Place as Place
from jcompress.channels.tracked import Tracked

Places = dict[Place, tuple[int, ...]]  # the indices along that axis


@dataclasses.dataclass(frozen=True)
class Unit:
  """The least that can be removed: indices of leaf axes that go together.

  Attributes:
    atom: its number in the store of labels.
    places: the indices along each axis of each leaf.
    constants: the same for arrays that are constants of the computation.
  """

  atom: int
  places: Places
  constants: Places


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
  """Interchangeable units, such as the channels of a layer.

  Attributes:
    name: the first of its places that a kernel produces, such as
      `conv1/kernel:3`, or else the first.
    atoms: of the units, in the order of their indices.
    owned: the indices of each unit along each axis of each leaf, one row a
      unit.
    constants: units and indices that they own of constants of the computation.
    notes: why a module built anew with fewer channels may compute something
      else than the traced computation does.
  """

  name: str
  atoms: Int[np.ndarray, ' units'] = dataclasses.field(repr=False)
  owned: dict[Place, Int[np.ndarray, 'units m']] = dataclasses.field(repr=False)
  constants: dict[Place, tuple[Labels, Labels]] = dataclasses.field(repr=False)
  notes: list[str]

  @property
  def size(self) -> int:
    return len(self.atoms)

  @property
  def places(self) -> dict[Place, int]:
    """How many indices each unit owns along each axis of each leaf."""
    return {place: own.shape[1] for place, own in self.owned.items()}

  @functools.cached_property
  def units(self) -> list[Unit]:
    """One by one; `owned` is faster."""
    constants: list[dict[Place, list[int]]] = [{} for _ in self.atoms]
    for place, (units, indices) in self.constants.items():
      for unit, i in zip(units.tolist(), indices.tolist(), strict=True):
        constants[unit].setdefault(place, []).append(i)
    owned = {place: own.tolist() for place, own in self.owned.items()}
    return [
      Unit(
        atom,
        {place: tuple(own[i]) for place, own in owned.items()},
        {place: tuple(own) for place, own in constants[i].items()},
      )
      for i, atom in enumerate(self.atoms.tolist())
    ]

  def __str__(self) -> str:
    owned = (
      f'{path}:{axis}' + (f' x {n}' if n > 1 else '')
      for (path, axis), n in self.places.items()
    )
    return f'{self.name}: {self.size} units of {", ".join(owned)}'


def collect(
  analysis: Analysis, leaves: Mapping[str, Tracked]
) -> tuple[dict[str, Group], dict[Place, str]]:
  """Reads off the groups, and why whole axes cannot change.

  Units that own the same numbers of indices along the same axes are one group,
  but for those that only occur together, as heads and dims of one axis do.
  """
  store = analysis.store
  outputs = kernel_outputs(analysis, leaves)
  groups: dict[str, Group] = {}
  for found in alike(ownership(store, leaves.items())):
    for part in _apart(found):
      part = part[_in_order([x[part] for _, x in sorted(found.owned.items())])]
      name = _new_name(found.owned, outputs, groups)
      owned = {place: own[part] for place, own in found.owned.items()}
      groups[name] = Group(name, found.atoms[part], owned, {}, [])
  _note(analysis, list(groups.values()))
  return groups, _frozen(store, leaves)


def kernel_outputs(
  analysis: Analysis, leaves: Mapping[str, Tracked]
) -> dict[str, tuple[int, ...]]:
  """The axes of each kernel and table that become axes of an output."""
  found: dict[str, tuple[int, ...]] = {}
  for labels, axes in analysis.kernels:
    for path, array in leaves.items():
      pairs = zip(labels, array.labels, strict=False)
      is_leaf = len(labels) == len(array.labels) and all(
        one is other for one, other in pairs
      )
      if labels and is_leaf:
        found.setdefault(path, axes)
  return found


def _in_order(rows):
  """The order of units by what they own, one array of indices a place."""
  first = rows[0][:, 0]
  if len(np.unique(first)) == len(first):
    return np.argsort(first)
  return np.lexsort(np.concatenate(rows, 1).T[::-1])


def _apart(found: Alike) -> list[Int[np.ndarray, ' units']]:
  """Divides units that look alike but are of different kinds.

  Four heads and four dims of one fused axis own four indices each. They differ
  in the offsets of their indices. Where all units somewhere stand alone, next
  to each other, they are of one kind even if they mix elsewhere.
  """
  owned = [own for _, own in sorted(found.owned.items())]
  mix = any(np.bincount(own.ravel()).max() > 1 for own in owned)
  if not mix or found.alone:
    return [np.arange(len(found.atoms))]
  shifted = np.concatenate([own - own[:, :1] for own in owned], 1)
  which = np.unique(shifted, axis=0, return_inverse=True)[1].ravel()
  return [np.flatnonzero(which == i) for i in range(which.max() + 1)]


def _new_name(places, outputs, groups):
  produced = lambda place: place[1] in outputs.get(place[0], ())
  path, axis = min(places, key=lambda place: (not produced(place), place))
  name, count = f'{path}:{axis}', 1
  while name in groups:
    count += 1
    name = f'{path}:{axis}#{count}'
  return name


def _note(analysis, groups: Sequence[Group]) -> None:
  """Adds the constants that groups cut, and what else is known of them."""
  store = analysis.store
  number, unit = np.full((2, len(store)), -1)
  for i, group in enumerate(groups):
    number[group.atoms], unit[group.atoms] = i, np.arange(group.size)
  named = ((name, array) for name, _, array in analysis.constants)
  cut = ownership(store, named)
  for i, place in enumerate(cut.places):
    here = cut.place == i
    atoms, indices = cut.atom[here], cut.position[here]
    for of in np.unique(number[atoms]):
      if of >= 0:
        own = number[atoms] == of
        groups[of].constants[place] = (unit[atoms[own]], indices[own])
  for group in groups:
    names = {p for (p, _), (units, _) in group.constants.items() if 0 in units}
    if names:
      listed = ', '.join(sorted(names))
      group.notes.append(f'constant arrays are cut with it: {listed}')
  for text, labels in analysis.notes:
    touched = np.unique(number[store.expand(labels)[1]])
    for group in (groups[i] for i in touched if i >= 0):
      if str(text) not in group.notes:
        group.notes.append(str(text))


def _frozen(store, leaves):
  frozen = {}
  for path, array in leaves.items():
    for axis, labels in enumerate(array.labels):
      if len(labels) <= 1:
        frozen[path, axis] = f'axis of size {len(labels)}'
      elif not store.alive(labels).any():
        frozen[path, axis] = store.reason(labels[0])
  return frozen

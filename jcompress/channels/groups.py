"""Units and groups: what the labels of an analysis say about parameters."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from jcompress.channels.analysis import Analysis
from jcompress.channels.tracked import Tracked

Place = tuple[str, int]  # path of a leaf, axis
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


@dataclasses.dataclass(frozen=True)
class Group:
  """Interchangeable units, such as the channels of a layer.

  Attributes:
    name: the first of its places that a kernel produces, such as
      `conv1/kernel:3`, or else the first.
    units: in the order of their indices.
    notes: why a module built anew with fewer channels may compute something
      else than the traced computation does.
  """

  name: str
  units: list[Unit] = dataclasses.field(repr=False)
  notes: list[str]

  @property
  def size(self) -> int:
    return len(self.units)

  @property
  def places(self) -> dict[Place, int]:
    """How many indices each unit owns along each axis of each leaf."""
    return {place: len(own) for place, own in self.units[0].places.items()}

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
  atoms_of = functools.cache(store.atoms)  # of roots; many leaves share theirs
  places: dict[int, Places] = defaultdict(dict)
  constants: dict[int, Places] = defaultdict(dict)
  for path, array in leaves.items():
    _find_places(store, atoms_of, path, array, places)
  for name, _, array in analysis.constants:
    _find_places(store, atoms_of, name, array, constants)
  outputs = kernel_outputs(analysis, leaves)
  noted = [
    (text, frozenset().union(*map(atoms_of, set(store.roots(labels).tolist()))))
    for text, labels in analysis.notes
  ]
  alike = defaultdict(list)
  for atom, own in places.items():
    extent = tuple(sorted((place, len(where)) for place, where in own.items()))
    alike[extent].append(atom)
  groups: dict[str, Group] = {}
  for _, members in sorted(alike.items()):
    for part in _apart(store, atoms_of, leaves, members, places):
      part.sort(key=lambda atom: _in_order(places[atom]))
      units = [Unit(a, dict(places[a]), dict(constants[a])) for a in part]
      name = _new_name(units[0], outputs, groups)
      groups[name] = Group(name, units, _notes(noted, units))
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


def _find_places(store, atoms_of, name, array, into):
  for axis, labels in enumerate(array.labels):
    found = defaultdict(list)
    alive = np.flatnonzero(store.alive(labels))
    roots = store.roots(labels[alive])
    for i, root in zip(alive.tolist(), roots.tolist(), strict=True):
      for atom in atoms_of(root):
        found[atom].append(i)
    for atom, where in found.items():
      into[atom][name, axis] = tuple(where)


def _in_order(places):
  return [where for _, where in sorted(places.items())]


def _apart(store, atoms_of, leaves, atoms, places):
  """Divides units that look alike but are of different kinds.

  Four heads and four dims of one fused axis own four indices each. They differ
  in the offsets of their indices. Where all units somewhere stand alone, next
  to each other, they are of one kind even if they mix elsewhere.
  """
  members, mix, alone = set(atoms), False, []
  for path, axis in places[atoms[0]]:
    roots = store.roots(leaves[path].labels[axis])
    found = [atoms_of(root) for root in roots.tolist()]
    mix |= any(len(together & members) > 1 for together in found)
    alone.append(members <= {a for own in found if len(own) == 1 for a in own})
  if not mix or any(alone):
    return [atoms]
  parts = defaultdict(list)
  for atom in atoms:
    shifted = (tuple(i - w[0] for i in w) for w in _in_order(places[atom]))
    parts[tuple(shifted)].append(atom)
  return [part for _, part in sorted(parts.items())]


def _new_name(unit, outputs, groups):
  produced = lambda place: place[1] in outputs.get(place[0], ())
  path, axis = min(unit.places, key=lambda place: (not produced(place), place))
  name, count = f'{path}:{axis}', 1
  while name in groups:
    count += 1
    name = f'{path}:{axis}#{count}'
  return name


def _notes(noted, units: Sequence[Unit]) -> list[str]:
  notes = []
  names = sorted({name for name, _ in units[0].constants})
  if names:
    notes.append(f'constant arrays are cut with it: {", ".join(names)}')
  own = {unit.atom for unit in units}
  notes += [str(text) for text, atoms in noted if own & atoms]
  return list(dict.fromkeys(notes))


def _frozen(store, leaves):
  frozen = {}
  for path, array in leaves.items():
    for axis, labels in enumerate(array.labels):
      if len(labels) <= 1:
        frozen[path, axis] = f'axis of size {len(labels)}'
      elif not store.alive(labels).any():
        frozen[path, axis] = store.reason(labels[0])
  return frozen

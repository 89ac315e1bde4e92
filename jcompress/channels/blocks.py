"""Labels of whole axes: kept together, flattened, unflattened."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from jcompress.channels.labels import ALWAYS, Labels, LabelStore

Axes = list[int]


def reshape_blocks(
  old: Sequence[int], new: Sequence[int]
) -> list[tuple[Axes, Axes]]:
  """Splits a reshape into the smallest blocks of axes with equal products.

  Axes of size 1 are left out. Sizes must be positive.

  >>> reshape_blocks((2, 3, 4, 5), (6, 20))
  [([0, 1], [0]), ([2, 3], [1])]
  """
  sources = [d for d, size in enumerate(old) if size != 1]
  targets = [d for d, size in enumerate(new) if size != 1]
  blocks = []
  while sources:
    source, target = [sources.pop(0)], [targets.pop(0)]
    size, goal = old[source[0]], new[target[0]]
    while size != goal:
      if size < goal:
        source.append(sources.pop(0))
        size *= old[source[-1]]
      else:
        target.append(targets.pop(0))
        goal *= new[target[-1]]
    blocks.append((source, target))
  return blocks


def unify(
  store: LabelStore, first: Labels, second: Labels, why: object
) -> None:
  """Keeps two axes of one length together, index by index."""
  if len(first) != len(second):
    raise ValueError(
      f'{why}: two axes of lengths {len(first)} and {len(second)} cannot be '
      'kept together.'
    )
  a, b = store.roots(first), store.roots(second)
  free = store.is_free(a) | store.is_free(b)
  a, b = a[free & (a != b)], b[free & (a != b)]
  if not store.unite_atoms(a, b, why):
    _pair_factors(store, a, b, why)
    for x, y in zip(a, b, strict=True):
      store.union(x, y, why)


def merge(store: LabelStore, axes: Sequence[Labels]) -> Labels:
  """Labels of axes flattened in row-major order."""
  flat, flat_alive = axes[0], bool(store.alive(axes[0]).any())
  for axis in axes[1:]:
    axis_alive = store.alive(axis).any()
    if flat_alive and axis_alive:
      outer, i = np.unique(store.roots(flat), return_inverse=True)
      inner, j = np.unique(store.roots(axis), return_inverse=True)
      products = [[store.product((x, y)) for y in inner] for x in outer]
      flat = np.array(products)[i[:, None], j].ravel()
    elif axis_alive:
      flat, flat_alive = np.tile(axis, len(flat)), True
    else:
      flat = np.repeat(flat, len(axis))
  return flat


def split(
  store: LabelStore, flat: Labels, sizes: Sequence[int], why: object
) -> list[Labels]:
  """Labels of the axes of `flat` seen as a row-major grid.

  An atom whose places are whole slabs of one grid axis belongs to that axis:
  this undoes `merge`, also across transposes. Any other atom becomes the
  product of one new atom of each grid axis, so that `Dense(heads * dim)` in
  front of a reshape offers heads and dims. Where it already is part of another
  block structure it is frozen.
  """
  sizes = tuple(int(s) for s in sizes)
  if not store.alive(flat).any():
    return [np.full(size, ALWAYS) for size in sizes]
  roots = store.roots(flat)
  owners, rest = _assign(store, roots, sizes, why)
  rest -= _clashing(store, roots, rest, why)
  if rest:
    anchored = store.is_anchored(rest)
    for axis, size in enumerate(sizes):
      for i, atom in enumerate(store.fresh(size, anchored) if size > 1 else ()):
        owners[axis][i].add(int(atom))
  axes = [
    np.array([store.product(owner[i]) for i in range(size)], np.int64)
    for owner, size in zip(owners, sizes, strict=True)
  ]
  if rest:
    for root, place in zip(roots, np.ndindex(*sizes), strict=True):
      cell = (axis[i] for axis, i in zip(axes, place, strict=True))
      store.union(root, store.product(cell), why)
  return axes


def _assign(store, roots, sizes, why):
  """The atoms that each index of each grid axis owns, and those left over."""
  places = defaultdict(list)
  for i, root in enumerate(roots):
    for atom in store.atoms(root):
      places[atom].append(i)
  owners = [defaultdict(set) for _ in sizes]
  rest = set()
  for atom, where in places.items():
    spans = [np.unique(c) for c in np.unravel_index(where, sizes)]
    partial = [d for d, span in enumerate(spans) if len(span) < sizes[d]]
    is_box = np.prod([len(span) for span in spans]) == len(where)
    if is_box and not partial:
      store.freeze_atoms([atom], f'{why}: one channel fills the whole block')
    elif is_box and len(partial) == 1:
      for i in spans[partial[0]]:
        owners[partial[0]][int(i)].add(atom)
    else:
      rest.add(atom)
  return owners, rest


def _clashing(store, roots, rest, why):
  """Freezes the atoms of `rest` that share an index with another of them."""
  clash = set()
  for root in np.unique(roots):
    together = store.atoms(root) & rest
    if len(together) > 1:
      clash |= together
  store.freeze_atoms(clash, f'{why}: incompatible block structure')
  return clash


def _pair_factors(store, first, second, why):
  """Unites the factors of two axes that both carry products.

  Atoms that occur at the same set of positions are one: head i with head i, dim
  j with dim j. What is then still two against two is frozen all at once, so
  that the outcome does not depend on the order of the indices.
  """
  sets = lambda roots: [store.atoms(root) for root in roots]
  pairs = list(zip(sets(first), sets(second), strict=True))
  if not any(len(a) > 1 and len(b) > 1 and a != b for a, b in pairs):
    return
  others = _alone_at(sets(second))
  for where, atom in _alone_at(sets(first)).items():
    if where in others:
      store.union(atom, others[where], why)
  clash = set()
  for a, b in zip(sets(first), sets(second), strict=True):
    if len(a - b) > 1 and len(b - a) > 1:
      clash |= a ^ b
  store.freeze_atoms(clash, f'{why}: incompatible block structure')


def _alone_at(sets):
  """The atoms that alone occur at some set of positions, by that set."""
  where = defaultdict(list)
  for i, atoms in enumerate(sets):
    for atom in sorted(atoms):
      where[atom].append(i)
  at = defaultdict(list)
  for atom, positions in where.items():
    at[tuple(positions)].append(atom)
  return {k: v[0] for k, v in at.items() if len(v) == 1}

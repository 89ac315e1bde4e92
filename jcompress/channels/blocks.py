"""Labels of whole axes: kept together, flattened, unflattened."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from jcompress.channels.labels import ALWAYS, CLASHES, Labels, LabelStore

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
  differ = (a != b) & (store.alive(a) | store.alive(b))
  a, b = a[differ], b[differ]
  if len(a) and not store.unite(a, b, why):
    differ = store.canonical(a) != store.canonical(b)
    a, b = a[differ], b[differ]
    _pair_factors(store, a, b, why)
    for x, y in zip(a, b, strict=True):
      store.union(x, y, why)


def merge(store: LabelStore, axes: Sequence[Labels]) -> Labels:
  """Labels of axes flattened in row-major order."""
  flat, flat_alive = axes[0], bool(store.alive(axes[0]).any())
  for axis in axes[1:]:
    axis_alive = store.alive(axis).any()
    if flat_alive and axis_alive:
      outer, i = np.unique(store.canonical(flat), return_inverse=True)
      inner, j = np.unique(store.canonical(axis), return_inverse=True)
      products = _outer(store, outer, inner)
      flat = products[i[:, None], j].ravel()
    elif axis_alive:
      flat, flat_alive = np.tile(axis, len(flat)), True
    else:
      flat = np.repeat(flat, len(axis))
  return flat


def _outer(store, outer, inner):
  """The products of each label with each other one."""
  cells = len(outer) * len(inner)
  sides = store.expand(np.repeat(outer, len(inner)))
  more = store.expand(np.tile(inner, len(outer)))
  return store.rows([sides, more], cells).reshape(len(outer), len(inner))


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
  where, atoms = store.expand(flat)
  owned, rest = _assign(store, where, atoms, sizes, why)
  rest = _without_clashes(store, where, atoms, rest, why)
  fresh = [np.full(size, ALWAYS) for size in sizes]
  if len(rest):
    anchored = store.is_anchored(rest)
    fresh = [
      store.fresh(n, anchored) if n > 1 else np.full(n, ALWAYS) for n in sizes
    ]
  axes = [
    store.rows([(places, own), store.expand(new)], size)
    for (places, own), new, size in zip(owned, fresh, sizes, strict=True)
  ]
  if len(rest) and len(rest) == len(atoms) == len(flat):
    grid = np.unravel_index(np.arange(len(flat)), sizes)
    pairs = zip(fresh, grid, strict=True)
    factors = [new[places] for new, places in pairs if len(new) > 1]
    store.define(atoms, np.stack(factors, 1))
  elif len(rest):
    cells = merge(store, axes)
    if not store.unite(flat, cells, why):
      for root, cell in zip(store.roots(flat), cells, strict=True):
        store.union(root, cell, why)
  return axes


def _assign(store, where, atoms, sizes, why):
  """What the indices of each grid axis own, and the atoms left over.

  Args:
    store: of the labels.
    where: places of the flat axis.
    atoms: one at each of them.
    sizes: of the grid.
    why: the reason.
  """
  own, numbers = np.unique(atoms, return_inverse=True)
  spans = []
  for size, places in zip(sizes, np.unravel_index(where, sizes), strict=True):
    seen = np.unique(numbers * size + places)
    spans.append((seen // size, seen % size))
  widths = np.array([np.bincount(n, minlength=len(own)) for n, _ in spans])
  is_box = widths.prod(0) == np.bincount(numbers, minlength=len(own))
  partial = widths < np.array(sizes)[:, None]
  whole = is_box & (partial.sum(0) == 0)
  store.freeze_atoms(own[whole], f'{why}: one channel fills the whole block')
  slabs = is_box & (partial.sum(0) == 1)
  owned = []
  for (n, places), along in zip(spans, partial, strict=True):
    taken = (slabs & along)[n]
    owned.append((places[taken], own[n[taken]]))
  return owned, own[~whole & ~slabs]


def _without_clashes(store, where, atoms, rest, why):
  """Freezes the atoms of `rest` that share an index with another of them."""
  of_rest = np.isin(atoms, rest)
  where, atoms = where[of_rest], atoms[of_rest]
  shared = np.bincount(where)[where] > 1 if len(where) else np.zeros(0, bool)
  clash = np.unique(atoms[shared])
  store.freeze_atoms(clash, f'{why}: {CLASHES}')
  return np.setdiff1d(rest, clash)


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
  store.freeze_atoms(clash, f'{why}: {CLASHES}')


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

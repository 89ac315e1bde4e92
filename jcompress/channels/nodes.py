"""The nodes behind labels: atoms, products of atoms, and what became of them.

All of them are rows of arrays, so that axes of a million indices are looked at
at once. A node that was found to be another one points to it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int

Labels = Int[np.ndarray, ' _']
Atoms = frozenset[int]

ALWAYS = 0
_STEPS = 4  # to a root, before all paths are halved


class Nodes:
  """All nodes of one analysis, in the order in which they were made."""

  def __init__(self):
    self._size = 0
    self._parent = np.zeros(0, np.int64)
    self._frozen = np.zeros(0, bool)
    self._is_product = np.zeros(0, bool)
    self._anchored = np.zeros(0, bool)
    self._reason = np.zeros(0, np.int64)  # of each frozen atom, by number
    self._first = np.zeros(0, np.int64)  # of the factors of each product
    self._count = np.zeros(0, np.int64)  # of them
    self._factors = np.zeros(0, np.int64)  # of all products
    self._used = 0  # of those
    self._products: dict[bytes, int] = {}  # by their sorted factors

  def __len__(self) -> int:
    return self._size

  def fresh(self, count: int, anchored: bool = False) -> Labels:
    """Makes new atoms.

    Args:
      count: how many.
      anchored: a parameter owns them. Atoms that never meet an anchored one,
        such as the copies that a broadcast makes, are not channels.
    """
    end = self._size + count
    if end > len(self._parent):
      more = max(count, len(self._parent), 1024)
      own = np.arange(len(self._parent), len(self._parent) + more)
      self._parent = np.concatenate([self._parent, own])
      for name in '_frozen _is_product _anchored _reason _first _count'.split():
        setattr(self, name, np.pad(getattr(self, name), (0, more)))
    atoms = np.arange(self._size, end)
    self._anchored[atoms] = anchored
    self._size = end
    return atoms

  def roots(self, labels: Labels) -> Labels:
    """The node that now stands for each label."""
    roots, steps = self._parent[labels], 0
    while not np.array_equal(above := self._parent[roots], roots):
      roots, steps = above, steps + 1
      if steps > _STEPS:
        # Chains of many unions: this halves all of them.
        self._parent = self._parent[self._parent]
    if steps:
      self._parent[labels] = roots
    return roots

  def root(self, label: int | np.integer) -> int:
    root = int(label)
    while (above := int(self._parent[root])) != root:
      root = above
    self._parent[label] = root
    return root

  def atoms(self, label: int | np.integer) -> Atoms:
    """The free atoms that must all be kept for the label to be kept."""
    root = self.root(label)
    if self._is_product[root]:
      return frozenset().union(*map(self.atoms, self._factors_of(root)))
    return frozenset() if self._frozen[root] else frozenset({root})

  def expand(self, labels: Labels) -> tuple[Labels, Labels]:
    """The free atoms of many labels.

    Returns:
      Positions in `labels` and the atoms there, each pair once, in order of the
      positions and then of the atoms.
    """
    places, nodes = np.arange(len(labels)), self.roots(labels)
    if not self._is_product[nodes].any():
      live = ~self._frozen[nodes]
      return places[live], nodes[live]
    keys = []
    while len(nodes):
      live = ~self._is_product[nodes] & ~self._frozen[nodes]
      keys.append(places[live] * self._size + nodes[live])
      products = self._is_product[nodes]
      rows, factors = self._rows(nodes[products])
      places, nodes = places[products][rows], self.roots(factors)
    places, nodes = np.divmod(np.unique(np.concatenate(keys)), self._size)
    return places, nodes

  def alive(self, labels: Labels) -> Bool[np.ndarray, ' _']:
    """Which of the labels can still be removed."""
    roots = self.roots(labels)
    alive = ~self._frozen[roots]
    products = self._is_product[roots]
    if products.any():
      rows, factors = self._rows(roots[products])
      free = np.bincount(rows, self.alive(factors), int(products.sum()))
      alive[products] = free > 0
    return alive

  def kept(
    self, labels: Labels, removed: Bool[np.ndarray, ' nodes']
  ) -> Bool[np.ndarray, ' _']:
    """Which of the labels are kept when the atoms of a `mask` are removed."""
    roots = self.roots(labels)
    kept = ~removed[roots]
    products = self._is_product[roots]
    if products.any():
      rows, factors = self._rows(roots[products])
      gone = ~self.kept(factors, removed)
      kept[products] = np.bincount(rows, gone, int(products.sum())) == 0
    return kept

  def mask(
    self, removed: Iterable[int | np.integer]
  ) -> Bool[np.ndarray, ' nodes']:
    """The removed atoms in the form that `kept` takes."""
    mask = np.zeros(self._size, bool)
    mask[np.array(list(removed), np.int64)] = True
    return mask

  def canonical(self, labels: Labels) -> Labels:
    """Nodes that are the same where the labels have the same free atoms."""
    nodes = self.roots(labels)
    nodes = np.where(self._frozen[nodes], ALWAYS, nodes)
    products = self._is_product[nodes]
    if products.any():
      own, inverse = np.unique(nodes[products], return_inverse=True)
      places, atoms = self.expand(own)
      nodes[products] = self._products_of(places, atoms, len(own))[inverse]
    return nodes

  def rows(self, parts: Sequence[tuple[Labels, Labels]], count: int) -> Labels:
    """Products of free atoms, row by row.

    Args:
      parts: the rows of some atoms, and those atoms.
      count: of the rows.
    """
    keys = [places * self._size + atoms for places, atoms in parts]
    pairs = np.divmod(np.unique(np.concatenate(keys)), self._size)
    return self._products_of(*pairs, count)

  def _products_of(self, places, atoms, count):
    counts = np.bincount(places, minlength=count)
    first = np.cumsum(counts) - counts
    found = np.full(count, ALWAYS)
    for width in np.unique(counts[counts > 0]):
      here = counts == width
      rows = atoms[first[here][:, None] + np.arange(width)]
      found[here] = rows[:, 0] if width == 1 else self._tuples(rows)
    return found

  def _node(self, atoms: Atoms) -> int:
    """The product of a set of free atoms."""
    row = np.array(sorted(atoms), np.int64)
    if len(row) < 2:
      return int(row[0]) if len(row) else ALWAYS
    return int(self._tuples(row[None])[0])

  def _tuples(self, rows):
    """Products of rows of as many atoms each, two or more, in order."""
    row_type = np.dtype((np.void, rows.itemsize * rows.shape[1]))
    keys = np.ascontiguousarray(rows).view(row_type).ravel().tolist()
    nodes = np.array([self._products.get(key, ALWAYS) for key in keys])
    missing = (nodes == ALWAYS) | (self._parent[nodes] != nodes)
    if missing.any():
      places = np.flatnonzero(missing).tolist()
      at = {keys[i]: i for i in places}
      made = self._new(rows[list(at.values())])
      self._products.update(zip(at, made.tolist(), strict=True))
      nodes[missing] = [self._products[keys[i]] for i in places]
    return nodes

  def _new(self, rows):
    """New products of rows of as many atoms each."""
    count, width = rows.shape
    nodes, end = self.fresh(count), self._used + rows.size
    if end > len(self._factors):
      self._factors = np.pad(self._factors, (0, max(end, 1024)))
    self._factors[self._used : end] = rows.ravel()
    self._is_product[nodes] = True
    self._first[nodes] = self._used + width * np.arange(count)
    self._count[nodes] = width
    self._used = end
    return nodes

  def _factors_of(self, product):
    first = self._first[product]
    return self._factors[first : first + self._count[product]].tolist()

  def _rows(self, products):
    """The factors of some products, and in which of them each one is."""
    counts = self._count[products]
    rows = np.repeat(np.arange(len(products)), counts)
    shift = np.repeat(
      self._first[products] - np.cumsum(counts) + counts, counts
    )
    return rows, self._factors[shift + np.arange(len(rows))]

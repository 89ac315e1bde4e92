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
    self._products: dict[Atoms | int, int] = {}

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
    one, two = counts == 1, counts == 2
    found[one] = atoms[first[one]]
    if two.any():
      found[two] = self._pairs(atoms[first[two]], atoms[first[two] + 1])
    for i in np.flatnonzero(counts > 2):
      row = atoms[first[i] : first[i] + counts[i]]
      found[i] = self._node(frozenset(row.tolist()))
    return found

  def _node(self, atoms: Atoms) -> int:
    """The product of a set of free atoms."""
    if not atoms:
      return ALWAYS
    if len(atoms) == 1:
      return next(iter(atoms))
    row = np.array(sorted(atoms))
    if len(row) == 2:
      return int(self._pairs(row[:1], row[1:])[0])
    node = self._products.get(atoms)
    if node is None or self._parent[node] != node:
      node = int(self._new(row[None])[0])
      self._products[atoms] = node
    return node

  def _pairs(self, low, high):
    """Products of two atoms each, the smaller ones first."""
    keys = low << 32 | high
    nodes = np.array([self._products.get(k, ALWAYS) for k in keys.tolist()])
    missing = (nodes == ALWAYS) | (self._parent[nodes] != nodes)
    if missing.any():
      fresh, inverse = np.unique(keys[missing], return_inverse=True)
      made = self._new(np.stack([fresh >> 32, fresh & (1 << 32) - 1], 1))
      self._products.update(zip(fresh.tolist(), made.tolist(), strict=True))
      nodes[missing] = made[inverse]
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

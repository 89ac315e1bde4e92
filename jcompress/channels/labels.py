"""Which indices of arrays are kept together, as a union-find of booleans.

Every index of every axis of every array carries a label, which stands for the
boolean "this index is kept". A label is one of

* `ALWAYS`: kept whatever happens;
* an atom: a free boolean;
* a product of atoms: kept if all of them are. Index `(head, dim)` of an axis
  into which heads were flattened is such a product.

Constraints say that two labels are kept together (`union`) or that one is
always kept (`freeze`). Where a constraint has no exact solution the store
freezes atoms until it holds: that only forbids removals, so it is sound. Each
constraint comes with `why`, any object whose `str` is the reason.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Bool, Int

Labels = Int[np.ndarray, ' _']
Atoms = frozenset[int]

ALWAYS = 0


class LabelStore:
  """All labels of one analysis."""

  def __init__(self):
    self._size = 0
    self._parent = np.zeros(0, np.int64)
    self._frozen = np.zeros(0, bool)
    self._is_product = np.zeros(0, bool)
    self._anchored = np.zeros(0, bool)
    self._factors: dict[int, Atoms] = {}  # of each product
    self._products: dict[Atoms, int] = {}
    self._reason = np.zeros(0, np.int64)  # of each frozen atom, by number
    self._reasons: list[object] = ['']
    self.fresh(1)
    self._frozen[ALWAYS] = True

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
      for name in ('_frozen', '_is_product', '_anchored', '_reason'):
        setattr(self, name, np.pad(getattr(self, name), (0, more)))
    atoms = np.arange(self._size, end)
    self._anchored[atoms] = anchored
    self._size = end
    return atoms

  def roots(self, labels: Labels) -> Labels:
    """The node that now stands for each label."""
    roots = self._parent[labels]
    while not np.array_equal(above := self._parent[roots], roots):
      roots = above
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
    if root in self._factors:
      return frozenset().union(*map(self.atoms, self._factors[root]))
    return frozenset() if self._frozen[root] else frozenset({root})

  def product(self, labels: Iterable[int | np.integer]) -> int:
    """The label that is kept if all the given ones are."""
    return self._node(frozenset().union(*map(self.atoms, labels)))

  def alive(self, labels: Labels) -> Bool[np.ndarray, ' _']:
    """Which of the labels can still be removed."""
    roots = self.roots(labels)
    return self._by_atoms(roots, ~self._frozen[roots], bool)

  def is_free(self, roots: Labels) -> Bool[np.ndarray, ' _']:
    """Which of some roots are not frozen atoms; products count as free."""
    return ~self._frozen[roots]

  def mask(self, removed: Iterable[int]) -> Bool[np.ndarray, ' nodes']:
    """The removed atoms in the form that `kept` takes."""
    mask = np.zeros(self._size, bool)
    mask[list(removed)] = True
    return mask

  def kept(
    self, labels: Labels, removed: Bool[np.ndarray, ' nodes']
  ) -> Bool[np.ndarray, ' _']:
    """Which of the labels are kept when the atoms of a `mask` are removed."""
    roots = self.roots(labels)
    stays = lambda atoms: not removed[list(atoms)].any()
    return self._by_atoms(roots, ~removed[roots], stays)

  def freeze(self, labels: Iterable[int | np.integer], why: object) -> None:
    """Keeps the labels for ever."""
    roots = np.unique(self.roots(np.asarray(labels, np.int64)))
    products = self._is_product[roots]
    atoms = set(roots[~products & ~self._frozen[roots]].tolist())
    atoms |= frozenset().union(*map(self.atoms, roots[products]))
    self.freeze_atoms(atoms, why)

  def freeze_atoms(
    self, atoms: Iterable[int | np.integer], why: object
  ) -> None:
    atoms = np.array(list(atoms), np.int64)
    if atoms.size:
      self._frozen[atoms] = True
      self._reason[atoms] = len(self._reasons)
      self._reasons.append(why)

  def freeze_unanchored(self, why: object) -> None:
    nodes = np.arange(self._size)
    is_atom = (self._parent[nodes] == nodes) & ~self._is_product[nodes]
    loose = is_atom & ~self._frozen[nodes] & ~self._anchored[nodes]
    self.freeze_atoms(nodes[loose].tolist(), why)

  def is_anchored(self, atoms: Iterable[int]) -> bool:
    return bool(self._anchored[list(atoms)].any())

  def reason(self, label: int | np.integer) -> str:
    """Why a label is frozen."""
    root = self.root(label)
    if root in self._factors:
      return '; '.join(sorted({self.reason(a) for a in self._factors[root]}))
    return str(self._reasons[self._reason[root]])

  def union(
    self, first: int | np.integer, second: int | np.integer, why: object
  ) -> None:
    """Keeps one label exactly when the other is kept."""
    first, second = self.root(first), self.root(second)
    if first == second:
      return
    a, b = self.atoms(first), self.atoms(second)
    only_a, only_b = a - b, b - a
    if a == b:
      for root in {first, second} - {self._node(a)} if a else ():
        self._parent[root] = self._node(a)
    elif not a or not b:
      base = self.reason(second if a else first)
      why = base or f'{why}: meets an axis that cannot change'
      self.freeze_atoms(a | b, why)
    elif only_a and only_b and min(len(only_a), len(only_b)) == 1:
      single, rest = sorted((only_a, only_b), key=len)
      (atom,) = single
      self._define(atom, rest)
    else:
      # One implies the other, or both mix differently: only what they share
      # can still be removed.
      self.freeze_atoms(only_a | only_b, f'{why}: incompatible block structure')

  def unite_atoms(self, first: Labels, second: Labels, why: object) -> bool:
    """Unites pairs of roots all at once.

    Does so only if they are atoms and no pair depends on another one. Tells
    whether it did.
    """
    both = np.concatenate([first, second])
    if self._is_product[both].any():
      return False
    frozen = self._frozen[both].reshape(2, -1).any(0)
    if frozen.all():
      fixed = np.where(self._frozen[first], first, second)
      live = np.where(self._frozen[first], second, first)
      reasons = self._reason[fixed]
      self.freeze_atoms(
        live[reasons == 0], f'{why}: meets an axis that cannot change'
      )
      self._frozen[live] = True
      self._reason[live] = np.where(reasons, reasons, self._reason[live])
      return True
    if frozen.any() or len(np.unique(both)) < len(both):
      return False
    self._parent[first] = second
    self._anchored[second] |= self._anchored[first]
    return True

  def _node(self, atoms: Atoms) -> int:
    if not atoms:
      return ALWAYS
    if len(atoms) == 1:
      return next(iter(atoms))
    node = self._products.get(atoms)
    if node is None or self.root(node) != node:
      node = int(self.fresh(1)[0])
      self._factors[node] = atoms
      self._is_product[node] = True
      self._products[atoms] = node
    return node

  def _define(self, atom: int, atoms: Atoms) -> None:
    node = self._node(atoms)
    self._parent[atom] = node
    if not self._is_product[node]:
      self._anchored[node] |= self._anchored[atom]

  def _by_atoms(self, roots, of_atoms, rule: Callable[[Atoms], bool]):
    """Overwrites the entries of products by a rule of their atoms."""
    products = self._is_product[roots]
    if products.any():
      nodes, inverse = np.unique(roots[products], return_inverse=True)
      values = np.array([rule(self.atoms(x)) for x in nodes], bool)
      of_atoms[products] = values[inverse]
    return of_atoms

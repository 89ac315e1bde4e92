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

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int

from jcompress.channels.nodes import ALWAYS as ALWAYS
from jcompress.channels.nodes import Atoms as Atoms
from jcompress.channels.nodes import Labels as Labels
from jcompress.channels.nodes import Nodes

_MEETS = 'meets an axis that cannot change'
CLASHES = 'incompatible block structure'


class LabelStore(Nodes):
  """All labels of one analysis."""

  def __init__(self):
    super().__init__()
    self._reasons: list[object] = ['']
    self.fresh(1)
    self._frozen[ALWAYS] = True

  def product(self, labels: Iterable[int | np.integer]) -> int:
    """The label that is kept if all the given ones are."""
    return self._node(frozenset().union(*map(self.atoms, labels)))

  def freeze(self, labels: Iterable[int | np.integer], why: object) -> None:
    """Keeps the labels for ever."""
    self.freeze_atoms(self.expand(np.asarray(labels, np.int64))[1], why)

  def freeze_atoms(
    self, atoms: Iterable[int | np.integer], why: object
  ) -> None:
    atoms = np.asarray(
      atoms if isinstance(atoms, np.ndarray) else list(atoms), np.int64
    )
    if atoms.size:
      self._frozen[atoms] = True
      self._reason[atoms] = len(self._reasons)
      self._reasons.append(why)

  def freeze_unanchored(self, why: object) -> None:
    nodes = np.arange(self._size)
    is_atom = (self._parent[nodes] == nodes) & ~self._is_product[nodes]
    loose = is_atom & ~self._frozen[nodes] & ~self._anchored[nodes]
    self.freeze_atoms(nodes[loose], why)

  def is_anchored(self, atoms: Labels) -> bool:
    return bool(self._anchored[atoms].any())

  def reason(self, label: int | np.integer) -> str:
    """Why a label is frozen."""
    root = self.root(label)
    if self._is_product[root]:
      return '; '.join(sorted({self.reason(a) for a in self._factors_of(root)}))
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
      self.freeze_atoms(a | b, base or f'{why}: {_MEETS}')
    elif only_a and only_b and min(len(only_a), len(only_b)) == 1:
      single, rest = sorted((only_a, only_b), key=len)
      (atom,) = single
      self._define(atom, rest)
    else:
      # One implies the other, or both mix differently: only what they share
      # can still be removed.
      self.freeze_atoms(only_a | only_b, f'{why}: {CLASHES}')

  def unite(self, first: Labels, second: Labels, why: object) -> bool:
    """Unites pairs of labels all at once.

    Does so only where no product meets a product, and no atom one of the
    products that it is to be. Tells whether it did all of it.
    """
    a, b = self.canonical(first), self.canonical(second)
    if (self._is_product[a] & self._is_product[b] & (a != b)).any():
      return False
    plain = ~self._is_product[a] & ~self._is_product[b]
    free = plain & (a != ALWAYS) & (b != ALWAYS)
    self._link(a[free], b[free])
    self._meet(first, second, why, plain)
    if plain.all():
      return True
    self._meet(first, second, why, ~plain)
    return self._set(first[~plain], second[~plain])

  def define(
    self, atoms: Labels, factors: Int[np.ndarray, 'n factors']
  ) -> None:
    """Makes free atoms products, each of a row of others, in order."""
    self._parent[atoms] = self._new(factors)

  def _set(self, first, second):
    """Makes atoms the products that they are paired with, all at once.

    Does nothing where that is not what the pairs are; tells whether it did.
    """
    a, b = self.canonical(first), self.canonical(second)
    a, b = a[a != b], b[a != b]
    swapped = self._is_product[a]
    atoms, products = np.where(swapped, b, a), np.where(swapped, a, b)
    factors = self.expand(products)[1]
    is_atom = ~self._is_product[atoms] & self._is_product[products]
    distinct = len(np.unique(atoms)) == len(atoms)
    if not is_atom.all() or not distinct or np.isin(atoms, factors).any():
      return False
    self._parent[atoms] = products
    return True

  def _link(self, a, b):
    """Unites pairs of free atoms; the first ones made stand for the others."""
    both = np.concatenate([a, b])
    while True:
      a, b = self.roots(a), self.roots(b)
      a, b = a[a != b], b[a != b]
      if not len(a):
        break
      low, high = np.minimum(a, b), np.maximum(a, b)
      order = np.argsort(-low, kind='stable')  # the last one counts
      self._parent[high[order]] = low[order]
    self._anchored[self.roots(both[self._anchored[both]])] = True

  def _meet(self, first, second, why, chosen):
    """Freezes what is paired with something that cannot change."""
    fixed = ~np.stack([self.alive(first), self.alive(second)])
    one = chosen & (fixed[0] != fixed[1])
    if not one.any():
      return
    live = np.where(fixed[0], second, first)[one]
    causes = self.roots(np.where(fixed[0], first, second)[one])
    while (products := self._is_product[causes]).any():
      factors = self._factors[self._first[causes[products]]]
      causes[products] = self.roots(factors)
    numbers = self._reason[causes]
    for number in np.unique(numbers):
      base = self._reasons[number] if number else f'{why}: {_MEETS}'
      self.freeze(live[numbers == number], base)

  def _define(self, atom: int, atoms: Atoms) -> None:
    node = self._node(atoms)
    self._parent[atom] = node
    if not self._is_product[node]:
      self._anchored[node] |= self._anchored[atom]

"""The algebra of labels: what may be removed after each kind of constraint."""

import numpy as np

from jcompress.channels.labels import ALWAYS, LabelStore


def grid(store, *axes):
  """Labels of the flattened outer product, in row-major order."""
  parts = np.meshgrid(*axes, indexing='ij')
  cells = zip(*(p.ravel() for p in parts), strict=True)
  return np.array([store.product(cell) for cell in cells])


def test_the_constant_is_never_removable():
  store = LabelStore()
  assert not store.alive(np.array([ALWAYS])).any()
  assert store.atoms(ALWAYS) == frozenset()


def test_frozen_atoms_vanish_from_products():
  store = LabelStore()
  h, c = store.fresh(3), store.fresh(4)
  flat = grid(store, h, c)
  store.freeze(h, 'spatial')
  assert [store.atoms(x) for x in flat] == [frozenset({x}) for x in c] * 3
  assert store.reason(int(h[0])) == 'spatial'


def test_union_of_two_atoms_makes_them_one():
  store = LabelStore()
  a, b = store.fresh(2)
  store.union(a, b, 't')
  assert store.atoms(a) == store.atoms(b)
  assert len(store.atoms(a)) == 1


def test_union_with_a_frozen_label_freezes_with_the_first_reason():
  store = LabelStore()
  a, b = store.fresh(2)
  store.freeze([a], 'network output')
  store.union(b, a, 't')
  assert not store.alive(np.array([b])).any()
  assert store.reason(b) == 'network output'


def test_union_with_the_constant_says_what_happened():
  store = LabelStore()
  (a,) = store.fresh(1)
  store.union(a, ALWAYS, 'add')
  assert store.reason(a) == 'add: meets an axis that cannot change'


def test_an_atom_that_meets_a_product_is_that_product():
  store = LabelStore()
  a, b, c = store.fresh(3)
  store.union(a, store.product([b, c]), 't')
  assert store.atoms(a) == {b, c}


def test_an_implied_atom_freezes_the_rest():
  store = LabelStore()
  a, b = store.fresh(2)
  store.union(a, store.product([a, b]), 't')
  assert store.atoms(a) == {a}
  assert store.atoms(b) == frozenset()


def test_two_products_without_a_common_atom_freeze():
  store = LabelStore()
  a, b, c, d = store.fresh(4)
  store.union(store.product([a, b]), store.product([c, d]), 't')
  assert not store.alive(np.array([a, b, c, d])).any()
  assert 'incompatible block structure' in store.reason(a)


def test_products_with_a_common_atom_unite_what_differs():
  store = LabelStore()
  a, b, c = store.fresh(3)
  store.union(store.product([a, b]), store.product([a, c]), 't')
  assert store.atoms(b) == store.atoms(c)
  assert store.alive(np.array([a, b])).all()


def test_atoms_that_no_parameter_owns_freeze():
  store = LabelStore()
  owned = store.fresh(2, anchored=True)
  copies, met = store.fresh(2), store.fresh(2)
  for one, other in zip(met, owned, strict=True):
    store.union(one, other, 't')
  store.freeze_unanchored('copies')
  assert store.alive(owned).all() and store.alive(met).all()
  assert store.reason(int(copies[0])) == 'copies'


def test_a_product_is_kept_only_if_each_of_its_atoms_is():
  store = LabelStore()
  h, d = store.fresh(2), store.fresh(3)
  flat = grid(store, h, d)
  removed = store.mask([int(h[0]), int(d[2])])
  assert store.kept(flat, removed).tolist() == [False] * 3 + [True, True, False]
  assert store.kept(d, removed).tolist() == [True, True, False]


def test_the_store_grows():
  store = LabelStore()
  first, many = store.fresh(2), store.fresh(5000)
  store.union(int(first[0]), int(many[-1]), 't')
  assert store.atoms(int(first[0])) == store.atoms(int(many[-1]))
  assert store.alive(many).all()

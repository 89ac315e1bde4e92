"""Nodes: many at once are what one by one they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jcompress.channels.labels import ALWAYS, LabelStore

STEPS = st.lists(
  st.tuples(st.sampled_from('ufp'), st.lists(st.integers(0, 7), max_size=3)),
  max_size=6,
)


def build(steps):
  """A store after some constraints, and labels of all kinds in it."""
  store = LabelStore()
  labels = store.fresh(8).tolist()
  for kind, some in steps:
    if kind == 'f':
      store.freeze([labels[i] for i in some], 'frozen')
    elif kind == 'p':
      labels.append(store.product([labels[i] for i in some]))
    elif len(some) > 1:
      store.union(labels[some[0]], labels[-1 - some[1]], 'union')
  return store, np.array([*labels, ALWAYS])


@given(STEPS)
def test_atoms_of_many_labels_are_those_of_each(steps):
  store, labels = build(steps)
  found = [set() for _ in labels]
  for place, atom in zip(*store.expand(labels), strict=True):
    assert atom not in found[place]
    found[place].add(int(atom))
  assert found == [store.atoms(x) for x in labels]
  assert store.alive(labels).tolist() == [bool(own) for own in found]


@given(STEPS, st.sets(st.integers(1, 8)))
def test_labels_are_kept_with_all_of_their_atoms(steps, removed):
  store, labels = build(steps)
  free = {int(x) for x in store.expand(labels)[1]} & removed
  kept = store.kept(labels, store.mask(free))
  assert kept.tolist() == [not (store.atoms(x) & free) for x in labels]


@given(STEPS)
def test_canonical_nodes_are_equal_where_atoms_are(steps):
  store, labels = build(steps)
  nodes = store.canonical(labels).tolist()
  atoms = [store.atoms(x) for x in labels]
  assert [store.atoms(x) for x in nodes] == atoms
  for node, own in zip(nodes, atoms, strict=True):
    same = [other == own for other in atoms]
    assert [other == node for other in nodes] == same


def test_long_chains_of_unions_end_at_one_root():
  store = LabelStore()
  labels = store.fresh(5000)
  for one, other in zip(labels[:-1], labels[1:], strict=True):
    store.union(one, other, 't')
  assert len(set(store.roots(labels).tolist())) == 1
  assert store.atoms(labels[0]) == store.atoms(labels[-1])


def test_rows_of_two_parts_are_products_of_both():
  store = LabelStore()
  a, b, c = store.fresh(3)
  first = np.array([0, 1]), np.array([a, b])
  second = np.array([0, 1]), np.array([b, b])
  nodes = store.rows([first, second], 3)
  assert [store.atoms(x) for x in nodes] == [{a, b}, {b}, set()]
  assert store.product([b, a]) == nodes[0]
  assert store.product([a, b, c]) == store.product([c, b, a])

"""Which atoms own what, and which of them own alike."""

import numpy as np

from jcompress.channels.labels import LabelStore
from jcompress.channels.ownership import alike, ownership
from jcompress.channels.tracked import Tracked


def array(*axes):
  return Tracked(axes, (0.0,) * len(axes))


def test_atoms_are_divided_by_how_much_they_own():
  store = LabelStore()
  c, d = store.fresh(2), store.fresh(3)
  arrays = {'v': array(c, d), 'w': array(np.tile(c, 2))}
  channels, others = alike(ownership(store, arrays.items()))
  assert channels.atoms.tolist() == c.tolist()
  owned = {place: own.tolist() for place, own in channels.owned.items()}
  assert owned == {('v', 0): [[0], [1]], ('w', 0): [[0, 2], [1, 3]]}
  assert channels.alone == {('v', 0), ('w', 0)}
  assert {p: x.tolist() for p, x in others.owned.items()} == {
    ('v', 1): [[0], [1], [2]]
  }


def test_as_many_at_other_places_are_not_alike():
  store = LabelStore()
  a, b, c = (store.fresh(2) for _ in range(3))
  arrays = {'v': array(a, b), 'w': array(b, c), 'x': array(a, c)}
  parts = [p.atoms.tolist() for p in alike(ownership(store, arrays.items()))]
  assert parts == [a.tolist(), b.tolist(), c.tolist()]


def test_products_belong_to_each_factor_and_to_none_alone():
  store = LabelStore()
  h, d = store.fresh(2), store.fresh(2)
  flat = [store.product([i, j]) for i in h for j in d]
  owners = ownership(store, [('w', array(np.array(flat)))])
  (found,) = alike(owners)
  assert found.owned['w', 0].tolist() == [[0, 1], [2, 3], [0, 2], [1, 3]]
  assert not found.alone and not owners.alone.any()


def test_what_cannot_change_is_nobodys():
  store = LabelStore()
  c = store.fresh(2)
  store.freeze(c, 'output')
  assert not list(alike(ownership(store, [('w', array(c))])))

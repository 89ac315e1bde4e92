"""Flattened and unflattened axes keep their block structure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jcompress.channels.blocks import merge, reshape_blocks, split, unify
from jcompress.channels.labels import ALWAYS, LabelStore


def factors(store, labels):
  return [store.atoms(x) for x in labels]


@given(st.lists(st.integers(2, 4), min_size=1, max_size=4))
def test_split_undoes_merge(sizes):
  store = LabelStore()
  axes = [store.fresh(n) for n in sizes]
  again = split(store, merge(store, axes), sizes, 't')
  assert [factors(store, a) for a in again] == [factors(store, a) for a in axes]


def test_merge_repeats_and_tiles_around_axes_that_cannot_change():
  store = LabelStore()
  c, always = store.fresh(3), np.full(4, ALWAYS)
  last = merge(store, [always, c])  # [4, 3] to [12], channels last
  assert last.tolist() == c.tolist() * 4
  first = merge(store, [c, always])  # channels first: four neighbours each
  assert first.tolist() == np.repeat(c, 4).tolist()


def test_split_finds_channels_that_recur_at_a_stride():
  store = LabelStore()
  c = store.fresh(3)
  rows, channels = split(store, np.tile(c, 4), (4, 3), 't')
  assert not store.alive(rows).any()
  assert factors(store, channels) == factors(store, c)


def test_split_of_plain_channels_makes_products():
  store = LabelStore()
  raw = store.fresh(6, anchored=True)
  heads, dims = split(store, raw, (2, 3), 't')
  expected = [store.atoms(h) | store.atoms(d) for h in heads for d in dims]
  assert factors(store, raw) == expected
  store.freeze(heads, 'spatial')
  assert store.atoms(raw[0]) == store.atoms(raw[3]) == store.atoms(dims[0])


def test_a_channel_that_fills_a_block_freezes():
  store = LabelStore()
  (c,) = store.fresh(1)
  a, b = split(store, np.full(6, c), (2, 3), 't')
  assert not store.alive(a).any() and not store.alive(b).any()
  assert 'fills the whole block' in store.reason(c)


def test_twelve_as_three_by_four_and_as_four_by_three_freezes():
  store = LabelStore()
  raw = store.fresh(12, anchored=True)
  split(store, raw, (3, 4), 'first')
  parts = split(store, raw, (4, 3), 'second')
  assert not store.alive(raw).any()
  assert not any(store.alive(p).any() for p in parts)


@pytest.mark.parametrize(
  'old, new, blocks',
  [
    ((2, 3, 4), (6, 4), [([0, 1], [0]), ([2], [1])]),
    ((2, 12), (2, 3, 4), [([0], [0]), ([1], [1, 2])]),
    ((2, 6, 2), (4, 6), [([0, 1, 2], [0, 1])]),
    ((1, 5, 1), (5,), [([1], [0])]),
    ((1, 1), (1,), []),
  ],
)
def test_reshapes_fall_into_minimal_blocks(old, new, blocks):
  assert reshape_blocks(old, new) == blocks


def test_unify_pairs_block_structures_by_position():
  store = LabelStore()
  h1, d1, h2, d2 = (store.fresh(n) for n in (2, 3, 2, 3))
  unify(store, merge(store, [h1, d1]), merge(store, [h2, d2]), 't')
  for first, second in ((h1, h2), (d1, d2)):
    assert store.roots(first).tolist() == store.roots(second).tolist()
    assert store.alive(first).all()


def test_unify_of_clashing_structures_freezes_all_of_it():
  store = LabelStore()
  first = merge(store, [store.fresh(2), store.fresh(3)])
  second = merge(store, [store.fresh(3), store.fresh(2)])
  unify(store, first, second, 't')
  assert not store.alive(first).any()
  assert not store.alive(second).any()


def test_unify_needs_one_length():
  store = LabelStore()
  with pytest.raises(ValueError, match='lengths 2 and 3'):
    unify(store, store.fresh(2), store.fresh(3), 'add')


def test_unify_of_many_atoms_is_that_of_each_pair():
  store = LabelStore()
  a, b, c = store.fresh(3, anchored=True), store.fresh(3), store.fresh(3)
  store.freeze(c, 'network output')
  unify(store, a, b, 't')
  assert store.roots(a).tolist() == store.roots(b).tolist()
  store.freeze_unanchored('copies')
  assert store.alive(b).all()
  unify(store, c, b, 't')
  assert store.reason(a[1]) == 'network output'


def test_unify_follows_atoms_that_occur_twice():
  store = LabelStore()
  (a, b, c) = store.fresh(3)
  unify(store, np.array([a, a]), np.array([b, c]), 't')
  assert store.atoms(a) == store.atoms(b) == store.atoms(c)
  unify(store, np.array([a, b]), np.array([ALWAYS, c]), 'add')
  assert store.reason(c) == 'add: meets an axis that cannot change'

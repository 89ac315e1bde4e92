"""Tests of the tree around the leaves."""

import collections

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcompress import encoded
from jcompress.code import structure

LEAF = encoded.Dense(jnp.zeros(2))


def _plain(tree):
  paths = []
  put = lambda leaf, path: paths.append(path) or len(paths) - 1
  return structure.to_plain(tree, put), paths


def test_by_hand():
  tree = {'b': [LEAF, None, ()], 'a': ({}, []), 3: LEAF}
  plan, paths = _plain(tree)
  assert plan == {3: 0, 'a': [1, {}, [0]], 'b': [0, 1, None, [1]]}
  assert paths == ['3', 'b/0']
  assert structure.from_plain(plan, ['x', 'y']) == {
    3: 'x',
    'a': ({}, []),
    'b': ['y', None, ()],
  }
  assert structure.leaf_paths(plan) == [('3', 0), ('b/0', 1)]


def test_a_leaf_alone_and_nothing_at_all():
  assert _plain(LEAF) == (0, [''])
  assert _plain(None) == (None, [])
  assert _plain({}) == ({}, [])


def test_the_order_of_keys_does_not_matter():
  one, two = {'a': LEAF, 'b': None}, {'b': None, 'a': LEAF}
  assert list(_plain(one)[0]) == list(_plain(two)[0])


def test_nnx_states_become_dicts():
  state = nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
  plan, paths = _plain(state)
  assert sorted(plan) == ['bias', 'kernel']
  assert paths == ['bias', 'kernel']


def test_other_mappings_become_dicts():
  plan, _ = _plain(collections.OrderedDict(a=np.zeros(2)))
  assert plan == {'a': 0}


Point = collections.namedtuple('Point', 'x y')


@pytest.mark.parametrize('node', [Point(LEAF, LEAF), {1.5: LEAF}, 'text', 3.0])
def test_other_nodes_are_refused_with_their_path(node):
  with pytest.raises(ValueError, match='top/0'):
    _plain({'top': [node]})


def test_depth():
  deep = LEAF
  for _ in range(200):
    deep = [deep]
  with pytest.raises(ValueError, match='too deep'):
    _plain(deep)


@pytest.mark.parametrize(
  'plan', [1, -1, [], [2, 0], [True, 0], 'a', 1.5, {'a': 7}, [0, [[]]], True]
)
def test_damage(plan):
  with pytest.raises(ValueError, match='Damaged header'):
    structure.from_plain(plan, ['x'])

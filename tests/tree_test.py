import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jcompress import tree

TREE = {'a': {'kernel': 1, 'bias': 2}, 'b': [{'kernel': 3}, ()], 'c': None}


class LinenNet(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.BatchNorm(use_running_average=True)(nn.Conv(4, (3, 3))(x))
    return nn.Dense(3)(x)


class NnxNet(nnx.Module):
  def __init__(self, rngs):
    self.conv = nnx.Conv(2, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.blocks = nnx.List([nnx.Linear(4, 3, rngs=rngs)])


def test_linen_and_nnx_give_the_same_kind_of_path():
  linen = LinenNet().init(jax.random.key(0), jnp.ones((1, 5, 5, 2)))['params']
  kernels, _ = tree.split(tree.KERNELS, linen)
  assert tree.paths(kernels) == ['Conv_0/kernel', 'Dense_0/kernel']
  state = nnx.state(NnxNet(nnx.Rngs(0)), nnx.Param)
  kernels, rest = tree.split(tree.KERNELS, state)
  assert tree.paths(kernels) == ['blocks/0/kernel', 'conv/kernel']
  assert 'norm/scale' in tree.paths(rest)


def test_kernels_are_found_at_any_depth():
  params = {'kernel': 1, 'fc': {'kernel': 2, 'my_kernel': 3}}
  assert tree.paths(tree.split(tree.KERNELS, params)[0]) == [
    'fc/kernel',
    'kernel',
  ]
  model = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
  kernels, _ = tree.split(tree.KERNELS, nnx.state(model, nnx.Param))
  assert tree.paths(kernels) == ['kernel']


def test_pure_takes_variables_of_one_kind_apart():
  param, moment = nnx.Param(jnp.ones(2)), nnx.optimizer.OptArray(jnp.ones(3))
  found = tree.pure({'a': param, 'b': (moment, None)}, 'OptState')
  assert isinstance(found['a'], nnx.Param)
  assert isinstance(found['b'][0], jax.Array)
  assert tree.pure(found)['a'].shape == (2,)
  assert tree.like([None, 2], {'a': {'b': 0}, 'c': 0}) == {
    'a': {'b': None},
    'c': 2,
  }


def test_forms_are_equal_where_containers_and_shapes_are():
  first = tree.form({'a': jnp.ones(2), 'b': [jnp.ones((1, 3))]})
  assert first == tree.form({'a': jnp.zeros(2), 'b': [jnp.zeros((1, 3))]})
  assert first != tree.form({'a': jnp.ones(3), 'b': [jnp.ones((1, 3))]})
  assert first != tree.form({'a': jnp.ones(2), 'b': (jnp.ones((1, 3)),)})


def test_a_param_named_value_keeps_its_name():
  assert tree.paths({'attention': {'value': 1}}) == ['attention/value']


def test_split_and_join_give_the_tree_back():
  chosen, rest = tree.split('.*kernel', TREE)
  assert chosen == {
    'a': {'kernel': 1, 'bias': None},
    'b': [{'kernel': 3}, ()],
    'c': None,
  }
  assert rest == {
    'a': {'kernel': None, 'bias': 2},
    'b': [{'kernel': None}, ()],
    'c': None,
  }
  assert tree.join(chosen, rest) == TREE


def test_the_first_pattern_that_matches_wins():
  (a, b), rest = tree.split_all(['a/.*', '.*kernel'], TREE)
  assert (jax.tree.leaves(a), jax.tree.leaves(b)) == ([2, 1], [3])
  assert jax.tree.leaves(rest) == []


def test_a_pattern_must_match_the_whole_path():
  with pytest.raises(ValueError, match="'kernel' matches no leaf of: a/bias"):
    tree.split('kernel', TREE)


def test_a_pattern_whose_leaves_are_taken_is_refused():
  with pytest.raises(ValueError, match='an earlier pattern'):
    tree.split_all(['.*', 'a/kernel'], TREE)


def test_parts_of_a_kind_have_labels_of_their_own():
  label = lambda x: tuple(f'part {i}' for i in range(len(x)))
  got = tree.label_parts({'a': (1, 2), 'b': 3, 'c': None}, tuple, label)
  assert got == {'a': ('part 0', 'part 1'), 'b': 'weights', 'c': None}

"""Known groups, and masked equals shrunk, for every member of the zoo."""

import functools
import inspect

import jax
import numpy as np
import pytest
import zoo_attention
import zoo_conv
import zoo_dense
import zoo_loops
import zoo_modules
from zoo import parse, short

from jcompress import channel_groups, remove_channels, shrink, tree

ZOO = {
  name: make
  for module in (zoo_attention, zoo_conv, zoo_dense, zoo_loops, zoo_modules)
  for name, make in inspect.getmembers(module, inspect.isfunction)
  if make.__module__ == module.__name__ and not name.startswith('_')
}
every_member = pytest.mark.parametrize('name', ZOO)


@functools.cache
def case(name):
  net = ZOO[name]()
  params, *inputs = jax.eval_shape(lambda *xs: xs, net.params, *net.inputs)
  return net, channel_groups(net.apply, params, *inputs, **net.options)


def halves(graph, seed=0):
  """A random half of each group of more than one unit."""
  rng = np.random.default_rng(seed)
  return {
    name: rng.permutation(group.size)[: group.size // 2]
    for name, group in graph.groups.items()
    if group.size > 1
  }


def assert_close(a, b):
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  for x, y in pairs:
    assert np.isfinite(x).all()
    largest = max(1.0, np.abs(x).max(initial=0))
    np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-5 * largest)


@every_member
def test_groups_are_the_known_ones(name):
  net, graph = case(name)
  found = [
    (g.size, {short(place): n for place, n in g.places.items()})
    for g in graph.groups.values()
  ]
  key = lambda group: (group[0], sorted(group[1].items()))
  assert sorted(found, key=key) == sorted(map(parse, net.groups), key=key)
  for group in graph.groups.values():
    for unit in group.units:
      extent = {place: len(where) for place, where in unit.places.items()}
      assert extent == group.places
  reasons = {short(place): why for place, why in graph.frozen.items()}
  for place, words in net.frozen.items():
    assert words in reasons[place]
  assert tuple(graph.unknown) == net.unknown
  if net.noted is not None:
    assert any(g.notes for g in graph.groups.values()) == net.noted


@every_member
def test_the_shrunk_network_equals_the_masked_one(name):
  net, graph = case(name)
  if not graph.groups:
    pytest.skip('nothing can be removed')
  keep = halves(graph)
  # `shrink` compares the two itself, to 1e-5.
  small, small_apply = shrink(
    net.apply, net.params, keep, *net.inputs, **net.options
  )
  plan = graph.plan(keep)
  shapes = dict(zip(tree.paths(small), jax.tree.leaves(small), strict=True))
  assert {p: shapes[p].shape for p in plan.shapes} == plan.shapes
  if net.adapts:
    own = jax.jit(net.apply)(small, *net.inputs)
    assert_close(jax.jit(small_apply)(small, *net.inputs), own)


@every_member
def test_no_place_of_a_unit_can_stay_uncut(name):
  """Otherwise the group would couple more than the function needs."""
  net, graph = case(name)
  if not net.adapts:
    pytest.skip('the function itself does not run on smaller params')
  for group in graph.groups.values():
    plan = graph.plan({group.name: range(1, group.size)})
    small = remove_channels(net.params, plan)
    for path, axis in group.places:
      shape = list(net.params[path].shape)
      for (other, d), where in group.units[0].places.items():
        if other == path and d != axis:
          shape[d] -= len(where)
      uncut = {**small, path: np.zeros(shape, np.float32)}
      with pytest.raises((TypeError, ValueError)):
        jax.eval_shape(net.apply, uncut, *net.inputs)

"""Where copies of units lie along axes."""

import jax
import numpy as np
import zoo_attention
import zoo_conv
from zoo import normal, weights

import jcompress as jc
from jcompress.distill.repeats import Repeats


def plan(net, counts):
  graph = jc.channel_groups(
    net.apply, net.params, *net.inputs, reductions='freeze'
  )
  return Repeats(graph, {n: np.array(c) for n, c in counts.items()})


def indices(repeats, path, axis):
  return repeats.indices(repeats.graph.leaves[path].labels[axis]).tolist()


def test_copies_lie_behind_what_they_are_copies_of():
  net = zoo_conv.conv_flatten_dense()
  repeats = plan(net, {'k:3': [1, 3, 1, 1, 2]})
  assert indices(repeats, 'k', 3) == [0, 1, 1, 1, 2, 3, 4, 4]
  # 16 positions, each with all channels.
  first = indices(repeats, 'w', 0)
  assert first[:9] == [0, 1, 1, 1, 2, 3, 4, 4, 5] and len(first) == 16 * 8
  assert indices(repeats, 'k', 2) == [0, 1]


def test_positions_of_a_channel_are_copied_together():
  net = zoo_conv.conv_flatten_dense_channels_first()
  repeats = plan(net, {'k:3': [2, 1, 1, 1, 1]})
  own = list(range(16))
  assert indices(repeats, 'w', 0) == own + list(range(80))


def test_heads_and_what_is_in_them_are_repeated_each_by_itself():
  f = lambda p, x: (
    jax.nn.relu((x @ p['a']).reshape(len(x), 2, 3)).reshape(len(x), 6) @ p['b']
  )
  params = weights(a=(4, 6), b=(6, 2))
  graph = jc.channel_groups(f, params, normal(5, 4), reductions='freeze')
  heads, dims = (
    next(n for n, g in graph.groups.items() if g.size == k) for k in (2, 3)
  )
  two, three = {heads: np.array([2, 1])}, {dims: np.array([1, 2, 1])}
  find = lambda counts: indices(Repeats(graph, counts), 'a', 1)
  assert find(two) == [0, 1, 2, 0, 1, 2, 3, 4, 5]
  assert find(three) == [0, 1, 1, 2, 3, 4, 4, 5]
  both = [0, 1, 1, 2, 0, 1, 1, 2, 3, 4, 4, 5]
  assert find(two | three) == find(three | two) == both


def test_how_often_each_index_is_there():
  net = zoo_conv.conv_flatten_dense()
  repeats = plan(net, {'k:3': [1, 3, 1, 1, 2]})
  labels = repeats.graph.leaves['w'].labels[0]
  np.testing.assert_array_equal(repeats.times(labels)[:5], [1, 3, 1, 1, 2])
  (found,) = repeats.summed()
  assert found.labels is labels


def test_sums_over_other_units_are_left_out():
  net = zoo_attention.transformer_linen()
  graph = jc.channel_groups(
    net.apply, net.params, *net.inputs, reductions='freeze'
  )
  last = [g for g in graph.groups.values() if g.size == 10]
  counts = {last[0].name: np.array([2] + [1] * 9)}
  assert len(list(Repeats(graph, counts).summed())) == 1

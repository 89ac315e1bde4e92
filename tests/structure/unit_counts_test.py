"""Counts of units where groups multiply to the channels of a layer."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo_attention
import zoo_conv
from zoo import normal, weights

import jcompress as jc
from jcompress.structure.unit_counts import unit_counts

X = normal(2, 3)


@functools.cache
def sixteen():
  """A layer of 16 channels in front of a convolution in 4 groups."""

  def f(p, x):
    h = jax.lax.conv_general_dilated(
      (x @ p['v'])[:, None],
      p['k'],
      (1,),
      'VALID',
      dimension_numbers=('NHC', 'HIO', 'NHC'),
      feature_group_count=4,
    )
    return jnp.tanh(h[:, 0]) @ p['w']

  params = weights(v=(3, 16), k=(1, 4, 4), w=(4, 2))
  return f, params, jc.channel_groups(f, params, X)


@pytest.mark.parametrize(
  'sparsity, left', [(0.25, 12), (0.5, 8), (0.75, 4), (0.97, 1)]
)
def test_a_layer_in_groups_keeps_the_share_that_was_asked(sparsity, left):
  f, params, graph = sixteen()
  kept = jc.keep_filters(graph, jc.filter_norms(graph, params), sparsity)
  small, _ = jc.shrink(f, params, kept, X)
  assert small['v'].shape == (3, left)
  greedy = graph.plan(jc.greedy_filters(graph, params, sparsity))
  assert greedy.shapes['v'] == (3, left)


def test_nothing_goes_where_nothing_is_asked():
  graph = sixteen()[2]
  counts = unit_counts(graph, dict.fromkeys(graph.groups, 0.0))
  assert list(counts.values()) == [4, 4]


def test_the_nearest_counts_by_hand():
  """Of 3 groups of 4 in and 2 out: 8 of 12 and 4 of 6 are nearest to 3/4."""
  net = zoo_conv.grouped_conv()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  counts = unit_counts(graph, dict.fromkeys(graph.groups, 0.25))
  by_size = {graph.groups[name].size: n for name, n in counts.items()}
  assert by_size == {3: 2, 4: 4, 2: 2}


@pytest.mark.parametrize('sparsity', [0.1, 0.3, 0.6, 0.8])
@pytest.mark.parametrize(
  'make, axes',
  [
    (zoo_conv.shufflenet, [('k0', 3), ('k1', 3)]),
    (zoo_attention.fused_projection, [('qkv', 1)]),
  ],
)
def test_no_other_counts_are_nearer(make, axes, sparsity):
  net = make()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  groups = graph.groups
  layers = [[n for n in groups if axis in groups[n].places] for axis in axes]
  sizes = [group.size for group in groups.values()]

  def error(counts):
    shares = dict(zip(groups, np.divide(counts, sizes), strict=True))
    left = [math.prod(shares[n] for n in layer) for layer in layers]
    return sum((share - (1 - sparsity)) ** 2 for share in left)

  got = unit_counts(graph, dict.fromkeys(groups, sparsity))
  best = min(error(np.add(i, 1)) for i in np.ndindex(*sizes))
  assert error([got[name] for name in groups]) == pytest.approx(best)


def test_heads_and_dims_on_axes_of_their_own_multiply_too():
  net = zoo_attention.transformer_linen()  # 2 heads, 6 dims
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  attention = [n for n in graph.groups if re.search('key|query|value', n)]
  counts = unit_counts(graph, dict.fromkeys(attention, 0.5))
  assert sorted(counts.values()) == [2, 3, 3]


def test_a_sparsity_of_its_own_is_that_of_the_group_alone():
  graph = sixteen()[2]
  first, second = graph.groups
  assert unit_counts(graph, {first: 0.25}) == {first: 3}
  counts = unit_counts(graph, {first: 0.5, second: 0.25})
  assert counts == {first: 2, second: 3}


def test_at_least_so_many_are_kept():
  graph = sixteen()[2]
  shares = dict.fromkeys(graph.groups, 0.9)
  assert unit_counts(graph, shares, least=2) == dict.fromkeys(shares, 2)


def test_a_sparsity_out_of_range_is_refused():
  graph = sixteen()[2]
  with pytest.raises(ValueError, match='sparsity is 1'):
    unit_counts(graph, dict.fromkeys(graph.groups, 1))

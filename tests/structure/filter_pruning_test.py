"""Which filters are kept: by layer, globally, greedily, and in rounds."""

import numpy as np
import pytest
import zoo_conv
from filter_norms_test import GRAPH, PARAMS, X, chain
from zoo import weights

import jcompress as jc

SCORES = {'k0:3': [3.0, 1, 2, 4], 'k1:3': [30.0, 10, 20, 40, 1]}


def lists(kept):
  return {name: units.tolist() for name, units in kept.items()}


@pytest.mark.parametrize(
  'sparsity, options, kept',
  [
    (0.5, {}, {'k0:3': [0, 3], 'k1:3': [0, 3]}),
    (0.25, {}, {'k0:3': [0, 2, 3], 'k1:3': [0, 2, 3]}),
    (0.9, {}, {'k0:3': [3], 'k1:3': [3]}),
    (0.9, {'least': 2}, {'k0:3': [0, 3], 'k1:3': [0, 3]}),
    (0.9, {'least': 5}, {}),
    ({'k1.*': 0.2}, {}, {'k1:3': [0, 1, 2, 3]}),
    ({'k0:3': 0.5, '.*': 0.2}, {}, {'k0:3': [0, 3], 'k1:3': [0, 1, 2, 3]}),
    (0.3, {'scope': 'global'}, {'k0:3': [0, 3], 'k1:3': [0, 1, 2, 3]}),
    (0.5, {'scope': 'global'}, {'k0:3': [3], 'k1:3': [0, 2, 3]}),
    (
      0.5,
      {'scope': 'global', 'normalize': True},
      {'k0:3': [0, 3], 'k1:3': [0, 3]},
    ),
    (0.0, {}, {}),
  ],
)
def test_the_largest_scores_are_kept(sparsity, options, kept):
  assert lists(jc.keep_filters(GRAPH, SCORES, sparsity, **options)) == kept


@pytest.mark.parametrize(
  'width, sparsity, kept',
  [(16, 0.1, 14), (64, 0.1, 57), (16, 0.6, 6), (10, 0.3, 7), (20, 0.9, 2)],
)
def test_as_many_are_kept_as_the_paper_keeps(width, sparsity, kept):
  params = weights(k0=(3, 3, 2, width), b0=(width,), k1=(3, 3, width, 5))
  params |= {'w': PARAMS['w']}
  graph = jc.channel_groups(chain, params, X)
  scores = jc.filter_norms(graph, params, groups='k0:3')
  assert len(jc.keep_filters(graph, scores, sparsity)['k0:3']) == kept


def test_the_first_layers_of_blocks_alone_leave_a_shortcut_as_it_is():
  net = zoo_conv.residual_add()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  scores = jc.filter_norms(graph, net.params)
  kept = jc.keep_filters(graph, scores, {'k1:3': 0.5})
  small, f = jc.shrink(net.apply, net.params, kept, *net.inputs)
  assert small['k1'].shape[3] == 2 and small['k0'].shape[3] == 6
  assert f(small, *net.inputs).shape == (2, 3)


def test_greedy_norms_leave_out_inputs_that_are_gone():
  params = {k: v.copy() for k, v in PARAMS.items()}
  params['k0'][..., 0] *= 0.01
  params['k1'][..., 0] *= 0.01
  params['k1'][:, :, 0, 0] = 100  # large, but only for a filter that goes
  independent = jc.keep_filters(GRAPH, jc.filter_norms(GRAPH, params), 0.25)
  greedy = jc.greedy_filters(GRAPH, params, 0.25)
  assert lists(independent)['k0:3'] == lists(greedy)['k0:3'] == [1, 2, 3]
  assert 0 in independent['k1:3'] and 0 not in greedy['k1:3']
  second = jc.greedy_filters(GRAPH, params, {'k1:3': 0.25})
  assert 0 in second['k1:3'] and 'k0:3' not in second


def test_pruning_in_rounds_ends_where_one_shot_does():
  params, f, rounds = PARAMS, chain, 2
  for _ in range(rounds):
    graph = jc.channel_groups(f, params, X)
    scores = jc.filter_norms(graph, params, groups='k0:3')
    kept = jc.keep_filters(graph, scores, 1 - (1 - 0.75) ** (1 / rounds))
    params, f = jc.shrink(f, params, kept, X)
  once = jc.keep_filters(GRAPH, jc.filter_norms(GRAPH, PARAMS), {'k0:3': 0.75})
  assert params['k0'].shape == (3, 3, 2, 1)
  np.testing.assert_array_equal(params['k0'], PARAMS['k0'][..., once['k0:3']])


@pytest.mark.parametrize(
  'scores, sparsity, options, message',
  [
    (SCORES, 1.0, {}, 'sparsity is 1.0'),
    (SCORES, -0.1, {}, 'sparsity is -0.1'),
    (SCORES, 0.5, {'least': 0}, 'least is 0'),
    (SCORES, 0.5, {'scope': 'all'}, "scope is 'all'"),
    (SCORES, 0.5, {'normalize': True}, "normalize is for scope='global'"),
    (SCORES, {'q': 0.5}, {}, "'q' matches no group"),
    (SCORES, {'.*': 0.5, 'k0:3': 0.1}, {}, "'k0:3' matches no group that"),
    (SCORES, {'.*': 0.5}, {'scope': 'global'}, 'must be one number'),
    (SCORES, 0.9, {'scope': 'global'}, 'leaves 0 of 9 units.* 2 stay'),
    ({'v:1': [1]}, 0.5, {}, 'no groups v:1, only: k0:3, k1:3'),
    ({'k0:3': [1.0]}, 0.5, {}, 'has 4 units'),
    ({'k0:3': [np.nan] * 4}, 0.5, {}, 'NaN'),
  ],
)
def test_bad_arguments_are_refused(scores, sparsity, options, message):
  with pytest.raises(ValueError, match=message):
    jc.keep_filters(GRAPH, scores, sparsity, **options)

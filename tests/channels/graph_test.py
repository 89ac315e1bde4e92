"""Plans: what may be kept, and what is refused with which words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import normal, weights

from jcompress import channel_groups


def mlp(p, x):
  return jnp.tanh(jnp.tanh(x @ p['u']) @ p['v']) @ p['w']


GRAPH = channel_groups(mlp, weights(u=(3, 4), v=(4, 5), w=(5, 2)), normal(2, 3))


@pytest.mark.parametrize(
  'kept', [[2, 0], np.array([0, 2]), [True, False, True, False], (0, 2)]
)
def test_units_are_given_by_number_or_by_a_boolean_each(kept):
  plan = GRAPH.plan({'u:1': kept})
  assert plan.keep['u:1'].tolist() == [0, 2]
  assert plan.shapes == {'u': (3, 2), 'v': (2, 5)}
  assert plan.kept(GRAPH.leaves['v'].labels[0]).tolist() == [
    True,
    False,
    True,
    False,
  ]


def test_several_groups_shrink_at_once():
  plan = GRAPH.plan({'u:1': [1], 'v:1': [0, 1, 2]})
  assert plan.shapes == {'u': (3, 1), 'v': (1, 3), 'w': (3, 2)}


@pytest.mark.parametrize(
  'kept',
  [
    [0, 0],
    [4],
    [-1],
    [0.5],
    [[0, 1]],
    [True, False, True],
    np.ones(8, bool),
    'all',
  ],
)
def test_units_that_are_not_of_the_group_are_refused(kept):
  with pytest.raises(ValueError, match="Group 'u:1' has 4 units; keep differ"):
    GRAPH.plan({'u:1': kept})


def test_uneven_cuts_are_refused():
  """A gated unit is a column of each half; no mask of columns is taken."""
  f = lambda p, x: jnp.prod(jnp.array(jnp.split(x @ p['v'], 2, 1)), 0) @ p['w']
  graph = channel_groups(f, weights(v=(3, 8), w=(4, 2)), normal(2, 3))
  columns = np.array([0, 0, 1, 1, 1, 1, 1, 1], bool)
  with pytest.raises(ValueError, match='cut unevenly'):
    graph.plan({'v:1': columns})


def test_an_unknown_group_is_refused():
  with pytest.raises(ValueError, match="no group 'v:0', only: u:1, v:1"):
    GRAPH.plan({'v:0': [0]})


@pytest.mark.parametrize('keep', [{}, {'u:1': range(4)}])
def test_an_empty_plan_is_refused(keep):
  with pytest.raises(ValueError, match='removes nothing.*u:1, v:1'):
    GRAPH.plan(keep)


def test_a_layer_cannot_be_removed_whole():
  with pytest.raises(ValueError, match='Axis 1 of u would become empty'):
    GRAPH.plan({'u:1': []})


def test_a_group_may_go_whole_if_its_axes_do_not():
  """Four of five channels are an output; the last one may go."""

  def f(p, x):
    h = x @ p['v']
    return h[:, :4], h @ p['w']

  graph = channel_groups(f, weights(v=(3, 5), w=(5, 2)), normal(2, 3))
  assert graph.plan({'v:1': []}).shapes == {'v': (3, 4), 'w': (4, 2)}


def test_a_graph_explains_itself():
  table = np.ones(3, np.float32)
  of_host = lambda h: jax.pure_callback(np.sort, h, h)
  f = lambda p, x: (of_host(x @ p['v']) + table) @ p['w']
  graph = channel_groups(f, weights(v=(3, 3), w=(3, 2)), normal(2, 3))
  text = str(graph)
  assert text.startswith('0 groups\n4 axes that cannot change')
  assert 'no rule for this primitive' in text
  assert 'operations without a rule: pure_callback' in text
  assert '3 numbers are constants' in text
  assert 'u:1: 4 units of u:1, v:0' in str(GRAPH)

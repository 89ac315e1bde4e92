"""Units and groups of small functions."""

import jax.numpy as jnp
import numpy as np
from zoo import normal, weights

from jcompress import channel_groups

X = normal(4, 3)


def graph_of(f, *inputs, **shapes):
  return channel_groups(f, weights(**shapes), *(inputs or (X,)))


def test_a_unit_lists_all_places_of_its_indices():
  f = lambda p, x: jnp.tanh((x @ p['v']).reshape(2, -1)) @ p['w']
  graph = graph_of(f, v=(3, 4), w=(8, 2))
  (group,) = graph.groups.values()
  assert group.units[1].places == {('v', 1): (1,), ('w', 0): (1, 5)}
  assert group.places == {('v', 1): 1, ('w', 0): 2}


def test_a_group_is_called_by_the_kernel_that_produces_it():
  f = lambda p, x: jnp.tanh(x @ p['v'] + p['a']) @ p['w']
  (name,) = graph_of(f, a=(5,), v=(3, 5), w=(5, 2)).groups
  assert name == 'v:1'


def test_groups_of_one_axis_have_numbers():
  """Four heads and four dims each own four of sixteen columns."""

  def f(p, x):
    h = (x @ p['v']).reshape(4, 4, 4)
    return jnp.einsum('thd,thd,hdo->to', h, h, p['w'].reshape(4, 4, 2))

  graph = graph_of(f, v=(3, 16), w=(16, 2))
  assert list(graph.groups) == ['v:1', 'v:1#2']
  heads, dims = graph.groups.values()
  assert {heads.units[1].places['v', 1], dims.units[1].places['v', 1]} == {
    (4, 5, 6, 7),
    (1, 5, 9, 13),
  }


def test_channels_that_mix_with_each_other_stay_one_group():
  f = lambda p, x: jnp.einsum('ti,tj,ijo->to', x @ p['v'], x @ p['v'], p['w'])
  graph = graph_of(f, v=(3, 4), w=(4, 4, 2))
  assert [g.size for g in graph.groups.values()] == [4]


def test_constants_are_listed_with_their_indices():
  table = np.arange(5, dtype=np.float32)
  f = lambda p, x: jnp.tanh(x @ p['v'] + table) @ p['w']
  (group,) = graph_of(f, v=(3, 5), w=(5, 2)).groups.values()
  ((_, where),) = group.units[2].constants.items()
  assert where == (2,)
  assert group.notes == ['constant arrays are cut with it: constant 0']


def test_the_order_of_units_is_that_of_their_indices():
  f = lambda p, x: jnp.tanh(x @ p['v'])[:, ::-1] @ p['w']
  (group,) = graph_of(f, v=(3, 5), w=(5, 2)).groups.values()
  assert [u.places['v', 1] for u in group.units] == [(i,) for i in range(5)]
  assert [u.places['w', 0] for u in group.units] == [(4 - i,) for i in range(5)]


def test_groups_print_what_they_own():
  f = lambda p, x: jnp.tanh((x @ p['v']).reshape(2, -1)) @ p['w']
  (group,) = graph_of(f, v=(3, 4), w=(8, 2)).groups.values()
  assert str(group) == 'v:1: 4 units of v:1, w:0 x 2'

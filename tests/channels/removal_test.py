"""Removing and masking in params and in what mirrors them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from zoo import linen, normal, weights

from jcompress import (
  channel_groups,
  mask_channels,
  remove_channels,
  shrink,
)
from jcompress.channels.removal import Width, channel_widths

X = normal(4, 3)


def mlp(p, x):
  return jnp.tanh(x @ p['v'] + p['b']) @ p['w']


PARAMS = weights(v=(3, 5), b=(5,), w=(5, 2))
PLAN = channel_groups(mlp, PARAMS, X).plan({'v:1': [0, 3]})


def test_kept_entries_stay_as_they_are():
  small = remove_channels(PARAMS, PLAN)
  assert np.array_equal(small['v'], PARAMS['v'][:, [0, 3]])
  assert np.array_equal(small['b'], PARAMS['b'][[0, 3]])
  assert np.array_equal(small['w'], PARAMS['w'][[0, 3]])
  assert isinstance(small['v'], np.ndarray)
  device = remove_channels(jax.tree.map(jnp.asarray, PARAMS), PLAN)
  assert isinstance(device['v'], jax.Array)


def test_masking_zeroes_producers_and_consumers():
  masked = mask_channels(PARAMS, PLAN)
  gone = [1, 2, 4]
  for name, axis in (('v', 1), ('b', 0), ('w', 0)):
    assert not np.take(masked[name], gone, axis).any()
    kept = np.take(masked[name], [0, 3], axis)
    assert np.array_equal(kept, np.take(PARAMS[name], [0, 3], axis))


def test_masking_removes_nan():
  bad = {**PARAMS, 'b': np.full(5, np.nan, 'f4')}
  masked = np.asarray(mask_channels(bad, PLAN)['b'])
  assert np.isnan(masked[[0, 3]]).all() and not masked[[1, 2, 4]].any()


def test_masking_producers_alone_is_not_removal():
  f = lambda p, x: jax.nn.sigmoid(x @ p['v'] + p['b']) @ p['w']
  masked = mask_channels(PARAMS, PLAN)
  small = f(remove_channels(PARAMS, PLAN), X)
  np.testing.assert_allclose(f(masked, X), small, rtol=1e-5)
  leaking = f({**masked, 'w': PARAMS['w']}, X)
  assert np.abs(leaking - small).max() > 1e-2


@pytest.mark.parametrize(
  'tx',
  [
    optax.adamw(1e-3),
    optax.sgd(0.1, momentum=0.9),
  ],
)
def test_training_goes_on_with_the_small_state(tx):
  """The step after removal is the step of the masked network, cut."""
  params = mask_channels(jax.tree.map(jnp.asarray, PARAMS), PLAN)
  loss = lambda p: (mlp(p, X) ** 2).sum()
  state = tx.init(params)
  step = jax.jit(lambda p, s: tx.update(jax.grad(loss)(p), s, p))
  for _ in range(2):
    updates, state = step(params, state)
    params = mask_channels(optax.apply_updates(params, updates), PLAN)
    state = mask_channels(state, PLAN)
  small, small_state = (remove_channels(t, PLAN) for t in (params, state))
  expected, _ = step(params, state)
  got, new = step(small, small_state)
  expected = remove_channels(expected, PLAN)
  for key, value in expected.items():
    np.testing.assert_allclose(got[key], value, rtol=2e-4, atol=1e-6)
  assert jax.tree.structure(new) == jax.tree.structure(small_state)


def test_masks_and_booleans_are_cut():
  masks = jax.tree.map(lambda w: w > 0, PARAMS)
  small = remove_channels({'masks': masks, 'step': 3}, PLAN)
  assert np.array_equal(small['masks']['v'], masks['v'][:, [0, 3]])
  assert small['step'] == 3


def test_a_leaf_of_another_shape_is_refused():
  with pytest.raises(ValueError, match=r"'w' has shape \(4, 2\).*\(5, 2\)"):
    remove_channels({**PARAMS, 'w': np.zeros((4, 2))}, PLAN)


def test_removing_twice_is_refused():
  with pytest.raises(ValueError, match='was traced with shape'):
    remove_channels(remove_channels(PARAMS, PLAN), PLAN)


def test_a_leaf_that_mirrors_no_parameter_is_refused():
  with pytest.raises(
    ValueError, match="'codes' of shape .* belongs to no leaf"
  ):
    remove_channels({**PARAMS, 'codes': np.zeros(7)}, PLAN)


def test_sharded_params_are_cut():
  explicit = jax.sharding.AxisType.Explicit
  mesh = jax.make_mesh((4, 2), ('x', 'y'), axis_types=(explicit, explicit))
  params = {'v': normal(4, 8), 'w': normal(8, 4)}
  f = lambda p, x: jnp.tanh(x @ p['v']) @ p['w']
  plan = channel_groups(f, params, normal(2, 4)).plan({'v:1': [0, 2, 5]})
  with jax.set_mesh(mesh):
    spec = jax.sharding.PartitionSpec('x', 'y')
    placed = jax.device_put(params, jax.sharding.NamedSharding(mesh, spec))
    small, masked = remove_channels(placed, plan), mask_channels(placed, plan)
  assert np.array_equal(small['v'], params['v'][:, [0, 2, 5]])
  assert np.array_equal(masked['w'], mask_channels(params, plan)['w'])


class Model(nn.Module):
  widths: dict[str, Width]

  @nn.compact
  def __call__(self, x):
    def conv(name):
      features, groups = self.widths[name]
      return nn.Conv(
        features[0], (3, 3), feature_group_count=groups or 1, name=name
      )

    x = nn.relu(conv('grouped')(nn.relu(conv('first')(x))))
    return nn.Dense(self.widths['head'].features[0], name='head')(
      x.mean((1, 2))
    )


def test_a_linen_model_is_built_anew_by_its_widths():
  full = {
    'first': Width((6,), None),
    'grouped': Width((9,), 3),
    'head': Width((2,), None),
  }
  net = linen(Model(full), (normal(2, 5, 5, 2),))
  graph = channel_groups(net.apply, net.params, *net.inputs)
  plan = graph.plan({'params/first/kernel:3': [0, 2]})  # whole groups
  small = channel_widths(plan)
  assert small == {
    'first': Width((4,), None),
    'grouped': Width((6,), 2),
    'head': Width((2,), None),
  }
  params = remove_channels(net.params, plan)
  masked = mask_channels(net.params, plan)
  got = Model(small).apply(params, *net.inputs)
  np.testing.assert_allclose(got, net.apply(masked, *net.inputs), atol=1e-5)


def test_widths_of_tables_and_stateful_modules():
  class Tied(nnx.Module):
    def __init__(self, rngs):
      self.table = nnx.Embed(11, 6, rngs=rngs)
      self.up = nnx.Linear(6, 9, rngs=rngs)
      self.down = nnx.Linear(9, 6, rngs=rngs)

    def __call__(self, ids):
      x = self.table(ids)
      return self.table.attend(x + self.down(nnx.relu(self.up(x))))

  graphdef, state = nnx.split(Tied(nnx.Rngs(0)))
  apply = lambda s, ids: nnx.merge(graphdef, s)(ids)
  graph = channel_groups(apply, state, np.array([[1, 2]]))
  features, hidden = sorted(graph.groups.values(), key=lambda g: g.size)
  plan = graph.plan({features.name: [0, 1], hidden.name: [0, 1, 2]})
  assert channel_widths(plan) == {
    'table': Width((2,), None),
    'up': Width((3,), None),
    'down': Width((2,), None),
  }


def tied():
  table = jnp.asarray(normal(7, 6))
  params = weights(v=(6, 5), w=(5, 6))
  params |= {'table': table, 'head': {'table': table}}

  def f(p, ids):
    h = p['table'][ids]
    h = h + jnp.tanh(h @ p['v']) @ p['w']
    return h @ p['head']['table'].T

  return f, params


def test_one_array_under_two_paths_stays_one():
  f, params = tied()
  ids = np.array([[1, 2, 6]])
  graph = channel_groups(f, params, ids)
  (name,) = [n for n in graph.groups if ':1' in n and 'table' in n]
  group = graph.groups[name]
  assert {('table', 1), ('head/table', 1), ('w', 1)} <= set(group.places)
  assert 'table and head/table are one array' in group.notes
  assert graph.ties == {'table': 'head/table'}
  keep = {name: [0, 2, 3]}
  small, small_apply = shrink(f, params, keep, ids)
  assert small['table'] is small['head']['table']
  assert small_apply(small, ids[:, :2]).shape == (1, 2, 7)  # traced anew
  for change in (remove_channels, mask_channels):
    new = change(params, graph.plan(keep))
    assert new['table'] is new['head']['table']


def test_equal_arrays_are_not_tied():
  f, params = tied()
  params['head'] = {'table': params['table'] + 0}
  assert not channel_groups(f, params, np.array([[1]])).ties
  shapes = jax.eval_shape(lambda: params)
  assert not channel_groups(f, shapes, np.array([[1]])).ties


def test_a_tied_leaf_that_is_not_used_does_not_freeze_the_other():
  params = weights(v=(3, 5), w=(5, 2))
  params['copy'] = params['v']
  f = lambda p, x: jnp.tanh(x @ p['v']) @ p['w']
  (group,) = channel_groups(f, params, X).groups.values()
  assert {('v', 1), ('copy', 1)} <= set(group.places)


def test_an_array_that_loses_different_channels_comes_apart():
  f = lambda p, x: jnp.tanh(jnp.tanh(x @ p['v'] + p['a']) @ p['w'] + p['b'])
  shapes = jax.eval_shape(lambda: weights(v=(3, 5), a=(5,), w=(5, 5), b=(5,)))
  g = lambda p, x: f(p, x) @ jnp.ones((5, 2))
  graph = channel_groups(g, shapes, X)
  one = jnp.arange(5)
  plan = graph.plan({'v:1': [0, 1]})
  params = {'v': np.ones((3, 5)), 'w': np.ones((5, 5)), 'a': one, 'b': one}
  small = remove_channels(params, plan)
  assert small['a'].tolist() == [0, 1] and small['b'] is one

"""Traps of finding channel groups: what goes wrong quietly elsewhere."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import conv, normal, weights

from jcompress import channel_groups

X, IMAGE = normal(4, 3), normal(1, 4, 4, 2)


def sizes(f, *inputs, options=None, **shapes):
  graph = channel_groups(f, weights(**shapes), *inputs, **(options or {}))
  return [group.size for group in graph.groups.values()]


def test_a_convolution_with_one_output_is_not_depthwise():
  f = lambda p, x: conv(jnp.tanh(conv(x[..., :1], p['a'])), p['b'])
  assert sizes(f, IMAGE, a=(3, 3, 1, 6), b=(3, 3, 6, 1)) == [6]


@pytest.mark.parametrize(
  'act, allowed',
  [
    (jax.nn.relu, True),
    (jnp.tanh, True),
    (jax.nn.gelu, True),
    (jax.nn.silu, True),
    (jax.nn.elu, True),
    (jnp.sin, True),
    (jax.nn.sigmoid, False),
    (jax.nn.softplus, False),
    (jnp.exp, False),
    (jnp.cos, False),
  ],
)
@pytest.mark.parametrize('dtype', [np.float32, jnp.bfloat16])
def test_a_sum_over_channels_needs_zero_where_they_are_masked(
  act, allowed, dtype
):
  f = lambda p, x: act(x @ p['a']).sum(-1)
  params, x = {'a': np.ones((3, 5), dtype)}, np.ones((4, 3), dtype)
  assert bool(channel_groups(f, params, x).groups) == allowed


def test_a_mean_over_channels_freezes_and_one_over_space_does_not():
  spatial = lambda p, x: conv(x, p['k']).mean((1, 2)) @ p['w']
  assert sizes(spatial, IMAGE, k=(3, 3, 2, 5), w=(5, 2)) == [5]
  all_axes = lambda p, x: conv(x, p['k']).mean((1, 2, 3))
  assert sizes(all_axes, IMAGE, k=(3, 3, 2, 5)) == []


def test_a_mean_written_as_a_product_with_ones_freezes():
  f = lambda p, x: (x @ p['a']) @ jnp.ones(5) / 5.0
  assert sizes(f, X, a=(3, 5)) == []


def test_a_norm_that_may_be_zero_freezes():
  """Weight normalization of a masked column is 0/0 without an epsilon."""
  f = lambda p, x: (
    x @ (p['v'] / jnp.sqrt((p['v'] ** 2).sum(0) + p['e'])) @ p['w']
  )
  params = weights(v=(3, 5), w=(5, 2))
  of = lambda e: channel_groups(lambda p, x: f({**p, 'e': e}, x), params, X)
  assert of(1e-6).groups
  assert 'not finite' in of(0.0).frozen['v', 1]


def test_batch_normalization_without_epsilon_freezes():
  def f(p, x):
    h = (x @ p['a'] - p['m']) * jax.lax.rsqrt(p['v']) * p['s'] + p['b']
    return h @ p['w']

  assert sizes(f, X, a=(3, 5), m=(5,), v=(5,), s=(5,), b=(5,), w=(5, 2)) == []


def test_a_leaf_that_is_not_used_is_frozen():
  f = lambda p, x: jnp.tanh(x @ p['a']) @ p['b']
  shapes = dict(a=(3, 5), b=(5, 2), junk=(5, 5))
  graph = channel_groups(f, weights(**shapes), X)
  assert graph.frozen['junk', 0] == 'leaf is not used by the traced function'


def test_captured_weights_are_constants():
  p = weights(a=(3, 5), b=(5, 2))
  f = lambda q, x: jnp.tanh(x @ p['a']) @ p['b'] + q['c']
  graph = channel_groups(f, weights(c=(2,)), X)
  assert not graph.groups
  assert '25 numbers are constants of the computation' in str(graph)


def test_policies_forbid_sums_and_constants():
  sums = lambda p, x: jnp.tanh(x @ p['a']).sum(-1)
  assert sizes(sums, X, a=(3, 5)) == [5]
  assert sizes(sums, X, a=(3, 5), options={'reductions': 'freeze'}) == []
  table = np.arange(5, dtype='f4')
  adds = lambda p, x: jnp.tanh(x @ p['a'] + table) @ p['b']
  shapes = dict(a=(3, 5), b=(5, 2))
  assert sizes(adds, X, **shapes) == [5]
  assert sizes(adds, X, options={'constants': 'freeze'}, **shapes) == []


def test_options_are_checked():
  f = lambda p, x: x @ p['a']
  with pytest.raises(ValueError, match="reductions is 'mean'"):
    channel_groups(f, weights(a=(3, 5)), X, reductions='mean')
  with pytest.raises(ValueError, match="'stats.*' matches no output of: out"):
    g = lambda p, x: {'out': x @ p['a']}
    channel_groups(g, weights(a=(3, 5)), X, free_outputs='stats.*')


def test_nothing_is_computed_and_shapes_are_enough():
  f = lambda p, x: jnp.tanh(x @ p['a']) @ p['b']
  shape = lambda *s: jax.ShapeDtypeStruct(s, jnp.float32)
  params = {'a': shape(10**5, 20), 'b': shape(20, 10**5)}
  graph = channel_groups(f, params, shape(1, 10**5))
  assert [g.size for g in graph.groups.values()] == [20]


def test_the_analysis_is_deterministic():
  f = lambda p, x: jnp.tanh((x @ p['a']).reshape(4, 3, 4)).sum(1) @ p['b']
  units = lambda: [
    (name, [u.places for u in g.units])
    for name, g in channel_groups(
      f, weights(a=(3, 12), b=(4, 2)), X
    ).groups.items()
  ]
  assert units() == units()


def flattened(p, x):
  y = jax.nn.relu(conv(x, p['k']))
  return y.reshape(len(x), -1) @ p['w']


def generated(p, x):
  y = jax.nn.relu(x @ p['w']).reshape(len(x), 128, 128, 16)
  return conv(y, p['k'])


def decoder(p, x):
  h = (x @ p['w']).reshape(len(x), 32, 512)
  h = jnp.tanh(h).reshape(len(x), -1)
  return jnp.tanh(h @ p['u'] * (h @ p['g'])) @ p['d']


@pytest.mark.parametrize(
  'apply, shapes, x, places',
  [
    (
      flattened,
      {'k': (3, 3, 3, 16), 'w': (1 << 20, 10)},
      (1, 256, 256, 3),
      [(16, {('k', 3): 1, ('w', 0): 1 << 16})],
    ),
    (
      generated,
      {'w': (64, 1 << 18), 'k': (3, 3, 16, 3)},
      (1, 64),
      [(16, {('k', 2): 1, ('w', 1): 1 << 14})],
    ),
    (
      decoder,
      {'w': (9, 1 << 14)}
      | dict.fromkeys('ug', (1 << 14, 1 << 16))
      | {'d': (1 << 16, 9)},
      (1, 9),
      [
        (32, {(name, d): 512 for name, d in (('w', 1), ('u', 0), ('g', 0))}),
        (512, {(name, d): 32 for name, d in (('w', 1), ('u', 0), ('g', 0))}),
        (1 << 16, {('u', 1): 1, ('g', 1): 1, ('d', 0): 1}),
      ],
    ),
  ],
)
def test_wide_layers_take_seconds(apply, shapes, x, places):
  """Ten times what they take; index by index it was minutes."""
  form = lambda shape: jax.ShapeDtypeStruct(shape, np.float32)
  params = {name: form(shape) for name, shape in shapes.items()}
  start = time.process_time()
  graph = channel_groups(apply, params, form(x))
  assert time.process_time() - start < 10
  found = sorted(graph.groups.values(), key=lambda group: group.size)
  assert [(group.size, group.places) for group in found] == places

"""Sums over the units of a graph, against masks of those units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo_conv
from zoo import normal, weights

from jcompress import channel_groups, mask_channels, unit_groups


def bound(kind, params):
  return kind(list(params), [np.shape(x) for x in params.values()])


def leaves(params):
  return [jnp.asarray(x) for x in params.values()]


def brute(graph, group, params):
  """Masks of the entries of each unit, by masking it in the graph."""
  ones = {k: np.ones(np.shape(v), bool) for k, v in params.items()}
  for i in range(group.size):
    keep = [j for j in range(group.size) if j != i]
    masked = mask_channels(ones, graph.plan({group.name: keep}))
    yield {k: ~np.asarray(v) for k, v in masked.items()}


NETS = {
  'flatten': zoo_conv.conv_flatten_dense,
  'shortcut': zoo_conv.residual_add,
  'multiplier': zoo_conv.depthwise_multiplier,
  'grouped': zoo_conv.grouped_conv,
  'shuffle': zoo_conv.shufflenet,
  'padded': zoo_conv.pad_shortcut,
}


def recurrent():
  """A unit owns a row and a column of one kernel; the corner counts once."""

  def f(p, x):
    h = jnp.tanh(x @ p['v'] + p['b'])
    return jnp.tanh(h @ p['r'] + h) @ p['w']

  return f, weights(v=(3, 5), b=(5,), r=(5, 5), w=(5, 2)), (normal(2, 3),)


@pytest.mark.parametrize('name', [*NETS, 'square'])
def test_units_own_what_masking_them_zeroes(name):
  net = NETS[name]() if name in NETS else None
  apply, params, inputs = (
    (net.apply, net.params, net.inputs) if net else recurrent()
  )
  graph = channel_groups(apply, params, *inputs)
  xs = leaves(params)
  for name, group in graph.groups.items():
    kind = unit_groups(graph, outgoing=True, names=name.replace('.', r'\.'))
    (groups,) = bound(kind, params)
    sums = groups.sums([jnp.asarray(np.square(x)) for x in xs])
    keep = jnp.asarray(~np.eye(group.size, dtype=bool))
    each = jax.jit(jax.vmap(lambda v, g=groups: g.spread(v, xs)))(keep)
    for unit, mask in enumerate(brute(graph, group, params)):
      own = [np.asarray(x)[m] for x, m in zip(xs, mask.values(), strict=True)]
      np.testing.assert_allclose(
        sums[unit], sum((x.astype(float) ** 2).sum() for x in own), rtol=1e-5
      )
      assert groups.sizes[unit] == sum(x.size for x in own)
      for i, m in enumerate(mask.values()):
        got = np.asarray(each[i][unit]) if i in each else True
        np.testing.assert_array_equal(np.broadcast_to(got, m.shape), ~m)


def test_factors_of_two_units_multiply_and_a_corner_counts_once():
  apply, params, inputs = recurrent()
  (groups,) = bound(
    unit_groups(channel_groups(apply, params, *inputs), outgoing=True), params
  )
  values = jnp.array([2.0, 3, 5, 7, 11])
  factor = groups.spread(values, leaves(params))[list(params).index('r')]
  want = np.outer(values, values)
  want[np.diag_indices(5)] = values
  np.testing.assert_array_equal(factor, want)


def test_units_of_sharded_leaves():
  explicit = jax.sharding.AxisType.Explicit
  mesh = jax.make_mesh((4, 2), ('x', 'y'), axis_types=(explicit, explicit))
  params = {'v': normal(4, 8), 'b': normal(8), 'r': normal(8, 8)}
  f = lambda p, x: jnp.tanh(jnp.tanh(x @ p['v'] + p['b']) @ p['r']).sum()
  graph = channel_groups(f, params, normal(2, 4))
  found = bound(unit_groups(graph, outgoing=True), params)

  @jax.jit
  def halve(xs):
    xs = list(xs)
    for groups in found:
      factors = 1 / (1 + groups.sums([x**2 for x in xs]))
      for i, factor in groups.spread(factors, xs).items():
        xs[i] = xs[i] * factor
    return xs

  spec = jax.sharding.PartitionSpec
  with jax.set_mesh(mesh):
    place = lambda x: jax.device_put(
      x, jax.sharding.NamedSharding(mesh, spec(*'xy'[: x.ndim]))
    )
    got = halve([place(x) for x in leaves(params)])
  for a, b in zip(got, halve(leaves(params)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5)

"""The published sizes of pruned networks, from plans, without any weights."""

import functools

import jax
import li_2017
import numpy as np
import pytest
from li_2017 import IMAGE, TABLE, Row, graph_of

from jcompress import flops, remove_channels, tree, verify_rebuilt
from jcompress.channels.interpreter import evaluate
from jcompress.channels.removal import channel_widths
from jcompress.models import VGG16

SEED = jax.random.key(0)
PRUNED = [name for name, row in TABLE.items() if row.kept]


def counts(row: Row, apply_fn, variables):
  weights = li_2017.weights(variables, row.biases)
  return weights, flops(apply_fn, variables, IMAGE).macs


@pytest.mark.parametrize('name', [n for n in TABLE if n not in PRUNED])
def test_dense_networks_are_of_the_published_size(name):
  row = TABLE[name]
  variables = li_2017.variables(row.model)
  assert counts(row, row.model.apply, variables) == (row.weights, row.macs)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(n, marks=[pytest.mark.slow] if 'ResNet-110' in n else [])
    for n in PRUNED
  ],
)
def test_plans_give_the_published_sizes(name):
  row = TABLE[name]
  plan = li_2017.plan(graph_of(row.model), row.kept)
  variables = li_2017.variables(row.model)
  small = jax.eval_shape(lambda v: remove_channels(v, plan), variables)
  shrunk = functools.partial(evaluate, plan)
  assert counts(row, shrunk, small) == (row.weights, row.macs)


@pytest.mark.parametrize('name', PRUNED)
def test_networks_built_with_the_widths_are_of_the_published_size(name):
  row = TABLE[name]
  plan = li_2017.plan(graph_of(row.model), row.kept)
  rebuilt = row.model.clone(widths=channel_widths(plan))
  variables = li_2017.variables(rebuilt)
  assert counts(row, rebuilt.apply, variables) == (row.weights, row.macs)
  shapes = dict(
    zip(tree.paths(variables), jax.tree.leaves(variables), strict=True)
  )
  assert {path: shapes[path].shape for path in plan.shapes} == plan.shapes


@pytest.mark.parametrize('name', PRUNED)
def test_the_sizes_are_within_the_rounding_of_the_paper(name):
  row, dense = TABLE[name], TABLE[name.partition('-pruned')[0]]
  left = np.array([row.weights / dense.weights, row.macs / dense.macs])
  # Its percentages are rounded, some down and some to the nearest.
  np.testing.assert_allclose(100 - 100 * left, row.removed, atol=0.1)


def test_only_channels_that_nothing_adds_to_are_pruned_in_residual_networks():
  """Each group has one layer that makes it and one that reads it."""
  row = TABLE['ResNet-110-pruned-B']
  graph = graph_of(row.model)
  assert len(row.kept) == 54 - 3
  for layer in row.kept:
    group = graph.groups[f'params/{layer}/kernel:3']
    reader = f'params/conv{int(layer[4:]) + 1}/kernel'
    kernels = {p for p in group.places if p[0].endswith('kernel')}
    assert kernels == {(f'params/{layer}/kernel', 3), (reader, 2)}


def test_of_vgg_every_layer_but_the_last_is_a_group():
  names = {f'params/conv{i}/kernel:3' for i in range(1, 14)}
  assert set(graph_of(VGG16()).groups) == names | {'params/fc1/kernel:1'}


@pytest.mark.slow
@pytest.mark.parametrize('name', PRUNED)
def test_networks_built_with_the_widths_compute_the_same(name):
  model, image = TABLE[name].model, jax.random.normal(SEED, IMAGE.shape)
  plan = li_2017.plan(graph_of(model), TABLE[name].kept)
  small = remove_channels(jax.jit(model.init)(SEED, image), plan)
  rebuilt = model.clone(widths=channel_widths(plan))
  verify_rebuilt(rebuilt.apply, small, plan, image)

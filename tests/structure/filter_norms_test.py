"""Scores of filters: known numbers, and what they say of the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo_conv
from zoo import conv, normal, weights
from zoo_modules import batch_norm, conv_transpose_flipped

import jcompress as jc
from jcompress.structure.filter_norms import matching
from jcompress.structure.weight_groups import unit_groups

relu = jax.nn.relu


def chain(p, x):
  h = relu(conv(relu(conv(x, p['k0']) + p['b0']), p['k1']))
  return h.mean((1, 2)) @ p['w']


X = normal(4, 5, 5, 2)
PARAMS = weights(k0=(3, 3, 2, 4), b0=(4,), k1=(3, 3, 4, 5), w=(5, 3))
GRAPH = jc.channel_groups(chain, PARAMS, X)


def test_norms_of_filters():
  k0, k1 = PARAMS['k0'].astype(float), PARAMS['k1'].astype(float)
  scores = jc.filter_norms(GRAPH, PARAMS)
  assert list(scores) == ['k0:3', 'k1:3']
  np.testing.assert_allclose(scores['k0:3'], abs(k0).sum((0, 1, 2)))
  np.testing.assert_allclose(scores['k1:3'], abs(k1).sum((0, 1, 2)))
  scores = jc.filter_norms(GRAPH, PARAMS, 'l2', groups='k1.*')
  assert list(scores) == ['k1:3']
  np.testing.assert_allclose(scores['k1:3'], np.sqrt((k1**2).sum((0, 1, 2))))


def test_magnitudes_are_summed_not_values():
  """A filter of weights of both signs is not a small one."""
  params = {**PARAMS, 'k0': PARAMS['k0'].copy()}
  params['k0'][..., 1] = 5 * (-1) ** np.arange(18).reshape(3, 3, 2)
  assert jc.filter_norms(GRAPH, params)['k0:3'].argmax() == 1


def test_the_geometric_median_finds_the_filter_that_others_replace():
  params = {**PARAMS, 'k0': np.zeros((3, 3, 2, 4), 'f4')}
  params['k0'][0, 0, 0] = [1, 2, 3, 100]
  score = jc.filter_norms(GRAPH, params, 'geometric_median')['k0:3']
  np.testing.assert_allclose(score, [102, 100, 100, 294])
  rows = PARAMS['k1'].reshape(-1, 5).T.astype(float)
  brute = [sum(np.linalg.norm(a - b) for b in rows) for a in rows]
  score = jc.filter_norms(GRAPH, PARAMS, 'geometric_median')['k1:3']
  np.testing.assert_allclose(score, brute)


def gated(p, x, gates):
  """The network with a factor on each channel of the first layer."""
  h = relu((conv(x, p['k0']) + p['b0']) * gates)
  return relu(conv(h, p['k1'])).mean((1, 2)) @ p['w']


def test_taylor_is_the_slope_of_the_loss_by_a_gate():
  batches = [(normal(4, 5, 5, 2, seed=s), normal(4, 3, seed=9)) for s in (1, 2)]
  loss = lambda p, b, g: jnp.mean((gated(p, b[0], g) - b[1]) ** 2)
  slope = jax.jit(jax.grad(loss, argnums=(0, 2)))
  found = [slope(PARAMS, b, jnp.ones(4)) for b in batches]
  gradients = [g for g, _ in found]
  gates = np.array([g for _, g in found])
  for criterion, want in (
    ('taylor', (gates**2).mean(0)),
    ('taylor_abs', abs(gates).mean(0)),
  ):
    score = jc.filter_norms(
      GRAPH, PARAMS, criterion, groups='k0:3', gradients=gradients
    )
    np.testing.assert_allclose(score['k0:3'], want, rtol=2e-4)


def test_before_a_normalization_taylor_looks_at_scale_and_shift():
  """Filters that are scaled change nothing: their sums of g w are zero."""
  net = batch_norm()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)

  def loss(params):
    h = conv(net.inputs[0], params['Conv_0']['kernel'])
    mean, var = h.mean((0, 1, 2)), h.var((0, 1, 2))
    h = (h - mean) / jnp.sqrt(var) * params['BatchNorm_0']['scale']
    h = relu(h + params['BatchNorm_0']['bias']).mean((1, 2))
    return jnp.sum((h @ params['Dense_0']['kernel']) ** 2)

  g = jax.jit(jax.grad(loss))(net.params['params'])
  w = net.params['params']
  by_filter = (g['Conv_0']['kernel'] * w['Conv_0']['kernel']).sum((0, 1, 2))
  want = sum(
    g['BatchNorm_0'][k] * w['BatchNorm_0'][k] for k in ('scale', 'bias')
  )
  assert np.abs(by_filter).max() < 1e-4 < 1e-3 < np.abs(want).max()
  (score,) = jc.filter_norms(
    graph, net.params, 'taylor', gradients=[{'params': g}]
  ).values()
  np.testing.assert_allclose(score, want**2, rtol=1e-3)
  g = jax.jit(jax.grad(lambda v: jnp.sum(net.apply(v, *net.inputs) ** 2)))
  gradient = g(net.params)  # with fixed statistics filters have slopes, too
  (score,) = jc.filter_norms(
    graph, net.params, 'taylor', gradients=[gradient]
  ).values()
  g = gradient['params']['BatchNorm_0']
  want = sum(g[k] * w['BatchNorm_0'][k] for k in ('scale', 'bias'))
  np.testing.assert_allclose(score, want**2, rtol=1e-4)
  (score,) = jc.filter_norms(graph, net.params, 'batch_norm').values()
  np.testing.assert_allclose(score, abs(w['BatchNorm_0']['scale']))


def test_a_shortcut_couples_filters_of_two_layers_or_decides_alone():
  net = zoo_conv.residual_add()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  k0, k2 = (
    abs(net.params[k].astype(float)).sum((0, 1, 2)) for k in 'k0 k2'.split()
  )
  scores = jc.filter_norms(graph, net.params)
  np.testing.assert_allclose(scores['k0:3'], k0 + k2)
  scores = jc.filter_norms(graph, net.params, only='k0', groups='k0:3')
  np.testing.assert_allclose(scores['k0:3'], k0)
  with pytest.raises(ValueError, match="nothing to score group k1:3.*'k0'"):
    jc.filter_norms(graph, net.params, only='k0')


def test_units_of_several_channels_and_of_swapped_axes():
  net = zoo_conv.grouped_conv()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  sums = {k: abs(v.astype(float)) for k, v in net.params.items()}
  scores = jc.filter_norms(graph, net.params)
  k0 = sums['k0'].sum((0, 1, 2)).reshape(3, 4)
  k1 = sums['k1'].sum((0, 1, 2)).reshape(3, 2)
  (whole,) = [
    g.name for g in graph.groups.values() if g.places.get(('k1', 3)) == 2
  ]
  np.testing.assert_allclose(scores[whole], k0.sum(1) + k1.sum(1))
  net = conv_transpose_flipped()
  graph = jc.channel_groups(net.apply, net.params, *net.inputs)
  kernel = net.params['params']['ConvTranspose_0']['kernel'].astype(float)
  score = jc.filter_norms(graph, net.params)['params/ConvTranspose_0/bias:0']
  np.testing.assert_allclose(score, abs(kernel).sum((0, 1, 3)))


def test_what_a_plan_removes_does_not_count():
  plan = GRAPH.plan({'k0:3': [1, 2]})
  score = jc.filter_norms(GRAPH, PARAMS, plan=plan)['k1:3']
  left = abs(PARAMS['k1'][:, :, 1:3].astype(float))
  np.testing.assert_allclose(score, left.sum((0, 1, 2)))


def test_groups_come_in_the_order_of_the_computation():
  f = lambda p, x: jnp.tanh(jnp.tanh(x @ p['z']) @ p['a']) @ p['m']
  params = weights(z=(3, 4), a=(4, 5), m=(5, 2))
  graph = jc.channel_groups(f, params, normal(2, 3))
  assert matching(graph, None) == ['z:1', 'a:1']


@pytest.mark.parametrize(
  'criterion, options, message',
  [
    ('l3', {}, "criterion is 'l3'"),
    ('taylor', {}, 'gradients are not given'),
    ('l1', {'gradients': [PARAMS]}, 'gradients are given'),
    ('taylor', {'gradients': []}, 'no gradients; give'),
    ('taylor', {'gradients': [{'k0': PARAMS['k0']}]}, 'no gradients of'),
    ('batch_norm', {}, "'batch_norm' finds nothing to score group k0:3"),
    ('l1', {'groups': 'q'}, "'q' matches no group of: k0:3, k1:3"),
    ('l1', {'only': 'q'}, "among 'q'"),
  ],
)
def test_bad_arguments_are_refused(criterion, options, message):
  with pytest.raises(ValueError, match=message):
    jc.filter_norms(GRAPH, PARAMS, criterion, **options)


def test_other_params_are_refused():
  with pytest.raises(ValueError, match='k0 of shape .3, 3, 2, 5. is not one'):
    jc.filter_norms(GRAPH, {**PARAMS, 'k0': np.zeros((3, 3, 2, 5))})


def test_a_network_with_nothing_to_remove_has_no_scores():
  f, params = lambda p, x: x @ p['w'], weights(w=(3, 2))
  graph = jc.channel_groups(f, params, normal(1, 3))
  assert jc.filter_norms(graph, params) == {}
  assert jc.greedy_filters(graph, params, 0.5) == {}
  for scope in ('layer', 'global'):
    assert jc.keep_filters(graph, {}, 0.5, scope=scope) == {}
  with pytest.raises(ValueError, match="'w' matches no group of: none"):
    jc.filter_norms(graph, params, groups='w')
  with pytest.raises(ValueError, match='The graph has no groups'):
    unit_groups(graph)

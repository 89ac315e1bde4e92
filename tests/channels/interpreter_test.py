"""Running a computation on smaller params: gradients, rules, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo_loops
import zoo_modules
from zoo import normal, weights

from jcompress import channel_groups, mask_channels, remove_channels
from jcompress.channels.interpreter import evaluate

X = normal(4, 3)


def planned(f, params, *inputs, keep=(0, 2)):
  graph = channel_groups(f, params, *inputs)
  plan = graph.plan({name: list(keep) for name in graph.groups})
  return plan, remove_channels(params, plan), functools.partial(evaluate, plan)


def test_gradients_are_those_of_the_masked_network():
  net = zoo_modules.residual_projection()
  plan, small, f = planned(net.apply, net.params, *net.inputs)
  loss = lambda f: lambda p: (f(p, *net.inputs) ** 2).sum()
  got = jax.jit(jax.grad(loss(f)))(small)
  masked = mask_channels(net.params, plan)
  expected = remove_channels(jax.jit(jax.grad(loss(net.apply)))(masked), plan)
  for a, b in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_relu_keeps_its_derivative_at_zero():
  f = lambda p, x: jax.nn.relu(x @ p['v']) @ p['w']
  _, small, g = planned(f, weights(v=(3, 5), w=(5, 2)), X)
  small = {**small, 'v': np.zeros((3, 2), 'f4')}
  grad = jax.grad(lambda p: g(p, X).sum())(small)
  assert not np.asarray(grad['v']).any()


def test_gradients_through_loops_calls_and_branches():
  for make in (zoo_loops.scanned_layers, zoo_loops.calls, zoo_loops.branches):
    net = make()
    _, small, f = planned(net.apply, net.params, *net.inputs)
    own = jax.grad(lambda p: net.apply(p, *net.inputs).sum())(small)  # noqa: B023
    got = jax.grad(lambda p: f(p, *net.inputs).sum())(small)  # noqa: B023
    for a, b in zip(*map(jax.tree.leaves, (got, own)), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@jax.custom_jvp
def through(x):
  return jnp.round(x)


through.defjvp(lambda p, t: (through(*p), t[0]))


@pytest.mark.parametrize('rounds', [through, zoo_loops.straight_through_round])
def test_a_rule_that_would_be_lost_is_refused(rounds):
  """Otherwise a straight-through estimator would get zero gradients."""
  f = lambda p, x: rounds(x @ p['v']) @ p['w']
  plan, small, g = planned(f, weights(v=(3, 5), w=(5, 2)), X)
  masked = f(mask_channels(weights(v=(3, 5), w=(5, 2)), plan), X)
  np.testing.assert_allclose(g(small, X), masked, atol=1e-5)
  with pytest.raises(ValueError, match='differentiated through .*(through|cu)'):
    jax.grad(lambda p: g(p, X).sum())(small)


def test_a_rule_of_a_call_that_did_not_shrink_is_kept():
  f = lambda p, x: through(jnp.tanh(x @ p['v']) @ p['w'])
  _, small, g = planned(f, weights(v=(3, 5), w=(5, 2)), X)
  grad = jax.grad(lambda p: g(p, X).sum())(small)
  assert np.asarray(grad['w']).any()


def test_wrong_params_are_refused():
  f = lambda p, x: jnp.tanh(x @ p['v']) @ p['w']
  params = weights(v=(3, 5), w=(5, 2))
  _, small, g = planned(f, params, X)
  with pytest.raises(ValueError, match=r'\(3, 5\) in place of \(3, 2\)'):
    g(params, X)
  with pytest.raises(ValueError, match='needs 3 arrays, 2 were given'):
    g(small)


def test_dtypes_are_those_of_the_trace():
  f = lambda p, x: (jnp.tanh(x @ p['v']) @ p['w']).astype(jnp.bfloat16)
  params = jax.tree.map(lambda w: w.astype('f2'), weights(v=(3, 5), w=(5, 2)))
  _, small, g = planned(f, params, X.astype('f2'))
  assert small['v'].dtype == np.float16
  assert g(small, X.astype('f2')).dtype == jnp.bfloat16

"""Counts of multiply-accumulates and parameters, worked out by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import flops, shrink
from jcompress.models import LeNet5, LeNet300100


def variables(model, x):
  return jax.eval_shape(model.init, jax.random.key(0), x)


@pytest.mark.parametrize(
  'model, macs, params',
  [
    (LeNet300100(), 784 * 300 + 300 * 100 + 100 * 10, 266_610),
    # 24 x 24 x 20 x 25, 8 x 8 x 50 x 500, 800 x 500, 500 x 10
    (LeNet5(), 288_000 + 1_600_000 + 400_000 + 5_000, 431_080),
  ],
)
def test_the_lenets_cost_what_is_known(model, macs, params):
  x = jnp.zeros((1, 28, 28, 1))
  cost = flops(model.apply, variables(model, x), x)
  assert (cost.macs, cost.params) == (macs, params)
  batch = jnp.zeros((7, 28, 28, 1))
  assert flops(model.apply, variables(model, x), batch).macs == 7 * macs


def test_a_grouped_convolution_costs_less():
  x = jnp.zeros((1, 5, 5, 6))
  for groups, macs in (
    (1, 25 * 6 * 9 * 6),
    (3, 25 * 6 * 9 * 2),
    (6, 25 * 6 * 9),
  ):
    model = nn.Conv(6, (3, 3), feature_group_count=groups)
    assert flops(model.apply, variables(model, x), x).macs == macs


def test_a_transposed_convolution_costs_what_its_transpose_does():
  """Each of 9 places of the input meets each weight once."""
  x = jnp.zeros((1, 3, 3, 2))
  model = nn.ConvTranspose(4, (2, 2), strides=(2, 2))
  assert flops(model.apply, variables(model, x), x).macs == 9 * 2 * 2 * 2 * 4


def test_loops_multiply_and_branches_take_the_dearest():
  w, x = jnp.zeros((5, 3, 3)), jnp.zeros((2, 3))
  layers = lambda w, x: jax.lax.scan(lambda h, w: (h @ w, None), x, w)[0]
  assert flops(layers, w, x).macs == 5 * 2 * 3 * 3
  both = lambda w, x: jax.lax.cond(
    x.sum() > 0, lambda: x @ w[0] @ w[1], lambda: x @ w[2]
  )
  assert flops(both, w, x).macs == 2 * 2 * 3 * 3


def test_loops_without_a_known_end_count_once():
  w, x = jnp.zeros((3, 3)), jnp.zeros((2, 3))
  f = lambda w, x: jax.lax.while_loop(lambda h: h.sum() < 1, lambda h: h @ w, x)
  cost = flops(f, w, x)
  assert (cost.macs, cost.unbounded) == (2 * 3 * 3, 1)


def test_calls_are_entered():
  w, x = jnp.zeros((3, 3)), jnp.zeros((2, 3))
  f = jax.checkpoint(jax.jit(lambda w, x: jax.nn.relu(x @ w)))
  assert flops(f, w, x).macs == 2 * 3 * 3
  (operation,) = flops(f, w, x).operations
  assert operation.name == 'dot_general([2, 3], [3, 3])'


def test_unused_and_tied_parameters_count_as_they_are_used():
  w = jnp.zeros((3, 3))
  params = {'a': w, 'tied': w, 'unused': jnp.zeros(100)}
  f = lambda p, x: x @ p['a'] @ p['tied']
  assert flops(f, params, jnp.zeros((2, 3))).params == 9


def test_a_shrunk_network_costs_less():
  f = lambda p, x: jnp.tanh(x @ p['v']) @ p['w']
  params = {'v': np.ones((3, 8), 'f4'), 'w': np.ones((8, 2), 'f4')}
  x = np.ones((1, 3), 'f4')
  small, small_apply = shrink(f, params, {'v:1': [0, 1]}, x)
  cost = flops(small_apply, small, x)
  assert (cost.macs, cost.params) == (3 * 2 + 2 * 2, 3 * 2 + 2 * 2)

"""Shrinking with its check, other input shapes, and models built anew."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo_attention
from zoo import linen, normal, weights

from jcompress import channel_groups, mask_channels, shrink
from jcompress.channels.removal import remove_channels
from jcompress.channels.shrink import verify_rebuilt

X = normal(4, 3)
PARAMS = weights(v=(3, 5), w=(5, 2))


def mlp(p, x):
  return jnp.tanh(x @ p['v']) @ p['w']


def test_the_small_network_computes_what_the_masked_one_did():
  small, f = shrink(mlp, PARAMS, {'v:1': [0, 3]}, X)
  plan = channel_groups(mlp, PARAMS, X).plan({'v:1': [0, 3]})
  masked = mlp(mask_channels(PARAMS, plan), X)
  np.testing.assert_allclose(f(small, X), masked, rtol=1e-5)
  assert small['v'].shape == (3, 2)


def test_inputs_of_other_shapes_jit_vmap_and_grad():
  small, f = shrink(mlp, PARAMS, {'v:1': [0, 3]}, X)
  x = normal(7, 3, seed=5)
  own = mlp(small, x)
  np.testing.assert_allclose(jax.jit(f)(small, x), own, rtol=1e-5)
  each = jax.vmap(lambda row: f(small, row[None])[0])(x)
  np.testing.assert_allclose(each, own, rtol=1e-5)
  grad = jax.grad(lambda p: f(p, x).sum())(small)
  expected = jax.grad(lambda p: mlp(p, x).sum())(small)
  np.testing.assert_allclose(grad['v'], expected['v'], rtol=1e-4)


def test_a_model_that_depends_on_the_shape_of_its_input_is_refused():
  def f(p, x):
    h = x @ p['v']
    return h.max(-1) if len(x) > 4 else jnp.tanh(h) @ p['w']

  small, g = shrink(f, PARAMS, {'v:1': [0, 3]}, X)
  with pytest.raises(ValueError, match="the group 'v:1' is another one"):
    g(small, normal(7, 3))


@pytest.mark.parametrize(
  'keep, message',
  [
    ({}, 'removes nothing'),
    ({'v:1': []}, 'a layer cannot be removed whole'),
    ({'v:1': np.ones(10, bool)}, 'has 5 units'),
    ({'v:0': [1]}, 'no group'),
  ],
)
def test_wrong_plans_are_refused(keep, message):
  with pytest.raises(ValueError, match=message):
    shrink(mlp, PARAMS, keep, X)


def test_a_difference_is_refused():
  """The masked network divides 0 by 0, which the analysis does not see."""

  def f(p, x):
    h = x @ p['v']
    return h / jnp.cumprod(h, 0) @ p['w']

  with pytest.raises(ValueError, match='differs from that of the masked'):
    shrink(f, PARAMS, {'v:1': [0, 3]}, X)


def test_states_that_shrink_are_checked_too():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.BatchNorm(False)(nn.Dense(5)(x))
      return nn.Dense(2)(x)

  net = linen(Model(), (X,), mutable=['batch_stats'])
  keep = {'params/Dense_0/kernel:1': [0, 1]}
  options = {'free_outputs': '1/batch_stats/.*'}
  small, f = shrink(net.apply, net.params, keep, X, **options)
  _, state = f(small, X)
  assert state['batch_stats']['BatchNorm_0']['mean'].shape == (2,)


def test_integer_outputs_must_be_equal():
  f = lambda p, x: mlp(p, x).argmax(-1)
  small, g = shrink(f, PARAMS, {'v:1': [0, 3]}, X)
  assert g(small, X).dtype == jnp.int32


def test_half_precision_may_round():
  half = lambda t: jax.tree.map(lambda x: x.astype(jnp.bfloat16), t)
  small, _ = shrink(mlp, half(PARAMS), {'v:1': [0, 1, 3]}, half(X))
  assert small['w'].dtype == jnp.bfloat16


def test_a_rebuilt_model_with_another_scale_is_noticed():
  """Attention divides by the root of its own width, not of the trained one."""
  net = zoo_attention.transformer_linen()
  graph = channel_groups(net.apply, net.params, *net.inputs)
  heads = {g.name: [0] for g in graph.groups.values() if g.size == 2}
  dims = {g.name: [0, 1, 2] for g in graph.groups.values() if g.size == 6}
  plan = graph.plan(heads)
  small = remove_channels(net.params, plan)
  verify_rebuilt(_block(1, 6).apply, small, plan, *net.inputs)
  plan = graph.plan(dims)
  small = remove_channels(net.params, plan)
  with pytest.raises(ValueError, match='literal 2.44949 may come from a width'):
    verify_rebuilt(_block(2, 6).apply, small, plan, *net.inputs)


def test_a_model_of_other_shapes_is_refused():
  plan = channel_groups(mlp, PARAMS, X).plan({'v:1': [0, 3]})
  small = remove_channels(PARAMS, plan)
  with pytest.raises(ValueError, match=r'has shape \(2,\)'):
    verify_rebuilt(lambda p, x: mlp(p, x)[0], small, plan, X)


def _block(heads, features):
  class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
      h = nn.LayerNorm()(x)
      attention = nn.MultiHeadDotProductAttention(
        heads, qkv_features=features, name='a'
      )
      x = x + attention(h)
      h = nn.gelu(nn.Dense(10)(nn.LayerNorm()(x)))
      return x + nn.Dense(8)(h)

  return Block()

"""Wider networks compute what narrow ones did, for every member of the zoo."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo_attention
from zoo import linen, normal, weights
from zoo_test import ZOO, case

import jcompress as jc
from jcompress import tree
from jcompress.distill.repeats import Repeats
from jcompress.distill.widening import repeated

KEY = jax.random.key(0)
X = normal(4, 3)
PARAMS = weights(v=(3, 5), b=(5,), w=(5, 2))


def mlp(p, x):
  return jnp.tanh(x @ p['v'] + p['b']) @ p['w']


def test_known_numbers_of_a_dense_layer():
  r = np.random.RandomState(0)
  w1, b1, w2 = (r.randn(*s).astype(np.float32) for s in ((3, 4), (4,), (4, 2)))
  x = r.randn(5, 3).astype(np.float32)
  f = lambda p, x: jax.nn.relu(x @ p['w1'] + p['b1']) @ p['w2']
  params = {'w1': w1, 'b1': b1, 'w2': w2}
  graph = jc.channel_groups(f, params, x, reductions='freeze')
  counts = np.bincount([0, 1, 2, 3, 1, 1, 3])
  wide = repeated(params, Repeats(graph, {'w1:1': counts}))
  # In the order of the units: 0, 1, 1, 1, 2, 3, 3.
  want = [1.494079, *3 * [0.104356], -2.55299, *2 * [0.432218]]
  np.testing.assert_allclose(wide['w2'][:, 0], want, atol=1e-6)
  np.testing.assert_array_equal(wide['b1'], b1[[0, 1, 1, 1, 2, 3, 3]])
  np.testing.assert_allclose(f(wide, x), f(params, x), atol=1e-5)
  undivided = f({**wide, 'w2': w2[[0, 1, 1, 1, 2, 3, 3]]}, x) - f(params, x)
  np.testing.assert_allclose(np.abs(undivided).max(), 8.454562, rtol=1e-5)


# What is summed over otherwise than by a kernel as it is.
REFUSED = {
  'all_sizes_are_four': {'k:1#2'},
  'causal_mask': {'k:2'},
  'conv_transpose_flipped': {'params/Conv_0/kernel:3'},
  'crelu': {'k0:3'},
  'fused_projection': {'qkv:1#2'},
  'grouped_queries': {'k:1'},
  'mixture_of_experts': {'w1:2'},
  'self_outer_product': {'a:1'},
  'split_projection': {'qkv:1#3'},
  'tied_embedding': {'params/Embed_0/embedding:1'},
  'transformer_linen': {'params/a/key/kernel:2'},
  'transformer_nnx': {'a/key/kernel:2'},
}


@pytest.mark.parametrize('name', ZOO)
def test_the_wide_network_computes_what_the_narrow_one_did(name):
  net, _ = case(name)
  options = {'free_outputs': net.options.get('free_outputs')}
  graph = jc.channel_groups(
    net.apply, net.params, *net.inputs, reductions='freeze', **options
  )
  sizes = {n: g.size for n, g in graph.groups.items() if g.size > 1}
  refused = REFUSED.get(name, set())
  widths = {n: size + 2 for n, size in sizes.items() if n not in refused}
  # `widen` compares the two itself, to 1e-5.
  if widths:
    wide, _ = jc.distill.widen(
      net.apply, net.params, widths, *net.inputs, key=KEY, **options
    )
    narrow = tree.by_name(net.params)
    found = tree.by_name(wide)
    for group in widths:
      for path, axis in graph.groups[group].places:
        assert found[path].shape[axis] > narrow[path].shape[axis]
  for group in refused:
    with pytest.raises(ValueError, match=r'not divided|meet|leave that layer'):
      jc.distill.widen(
        net.apply, net.params, {group: sizes[group] + 1}, *net.inputs, key=KEY
      )


def test_inputs_of_other_shapes_jit_and_grad():
  wide, f = jc.distill.widen(mlp, PARAMS, {'v': 9}, X, key=KEY)
  x = normal(7, 3, seed=5)
  np.testing.assert_allclose(jax.jit(f)(wide, x), mlp(wide, x), rtol=1e-5)
  np.testing.assert_allclose(mlp(wide, x), mlp(PARAMS, x), rtol=1e-4)
  grad = jax.grad(lambda p: f(p, x).sum())(wide)
  expected = jax.grad(lambda p: mlp(p, x).sum())(wide)
  np.testing.assert_allclose(grad['v'], expected['v'], rtol=1e-4)


class Net(nn.Module):
  """A residual convolution behind a norm, and a dense layer."""

  width: int
  units: int = 6

  @nn.compact
  def __call__(self, x):
    h = nn.relu(nn.BatchNorm(True)(nn.Conv(self.width, (3, 3), name='a')(x)))
    h = h + nn.relu(nn.Conv(self.width, (3, 3), name='b')(h))
    h = nn.relu(nn.Dense(self.units, name='c')(h.reshape(len(h), -1)))
    return nn.Dense(2, name='d')(h)


def test_a_model_that_is_built_with_the_width_takes_the_params():
  x = normal(2, 4, 4, 3)
  net = linen(Net(4), (x,))
  wide, f = jc.distill.widen(
    net.apply, net.params, {'a': 6, 'c/kernel': 9}, x, key=KEY
  )
  own = jax.jit(Net(6, 9).apply)(wide, x)
  np.testing.assert_allclose(own, jax.jit(net.apply)(net.params, x), rtol=1e-4)
  np.testing.assert_allclose(own, jax.jit(f)(wide, x), rtol=1e-4)
  # The other producer of a sum names the same units.
  again, _ = jc.distill.widen(
    net.apply, net.params, {'b': 6, 'c': 9}, x, key=KEY
  )
  jax.tree.map(np.testing.assert_array_equal, wide, again)


def test_noise_is_where_copies_are():
  wide, _ = jc.distill.widen(mlp, PARAMS, {'v': 9}, X, key=KEY)
  noisy, _ = jc.distill.widen(mlp, PARAMS, {'v': 9}, X, key=KEY, noise=0.01)
  _, first = np.unique(wide['b'], return_index=True)
  copies = np.setdiff1d(np.arange(9), first)
  apart = np.asarray(noisy['v'] - wide['v'])
  assert not apart[:, first].any() and apart[:, copies].all()
  assert np.abs(apart).max() < 0.1
  np.testing.assert_array_equal(noisy['b'], wide['b'])


def test_half_precision_stays_half():
  half = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), (PARAMS, X))
  wide, _ = jc.distill.widen(mlp, half[0], {'v': 7}, half[1], key=KEY)
  assert {x.dtype for x in wide.values()} == {jnp.dtype(jnp.bfloat16)}


def test_a_norm_over_the_units_is_refused_with_its_place():
  class Normed(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(2)(nn.LayerNorm()(nn.Dense(5, name='a')(x)))

  net = linen(Normed(), (X,))
  with pytest.raises(
    ValueError, match="'a' produces 0 groups.*reduce_sum over"
  ):
    jc.distill.widen(net.apply, net.params, {'a': 7}, X, key=KEY)


@pytest.mark.parametrize(
  'widths, message',
  [
    ({'v': 5}, 'has 5 units; widen it to more'),
    ({'x': 9}, "'x' produces 0 groups"),
    ({'w': 9}, 'w cannot: network output'),
  ],
)
def test_wrong_widths_are_refused(widths, message):
  with pytest.raises(ValueError, match=message):
    jc.distill.widen(mlp, PARAMS, widths, X, key=KEY)


def test_several_groups_of_one_kernel_are_told_by_name():
  net = zoo_attention.transformer_linen()
  with pytest.raises(ValueError, match=r"'a/key' produces 2 groups"):
    jc.distill.widen(net.apply, net.params, {'a/key': 9}, *net.inputs, key=KEY)

"""Loops, branches and calls; random numbers; what cannot be removed."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from zoo import linen, normal, plain, weights

X, SERIES = (normal(4, 3),), (normal(2, 4, 3),)
relu = jax.nn.relu


def scanned_layers():
  """A channel is removed at the same index in each of the layers."""

  def f(p, x):
    def layer(h, w):
      return h + relu(h @ w['a'] + w['c']) @ w['b'], None

    h, _ = jax.lax.scan(layer, x @ p['i'], {k: p[k] for k in 'abc'})
    return h @ p['o']

  p = weights(i=(3, 5), a=(4, 5, 7), c=(4, 7), b=(4, 7, 5), o=(5, 2))
  groups = '5 i:1 a:1 b:2 o:0', '7 a:2 c:1 b:1'
  return plain(f, p, X, *groups, frozen={'a:0': 'stacked'})


def fused_lstm():
  """A unit owns four columns, one row, and a channel of both carries."""

  def f(p, x):
    def step(carry, x):
      h, s = carry
      gates = x @ p['w'] + h @ p['u'] + p['b']
      i, g, q, o = jnp.split(gates, 4, -1)
      s = jax.nn.sigmoid(q) * s + jax.nn.sigmoid(i) * jnp.tanh(g)
      h = jax.nn.sigmoid(o) * jnp.tanh(s)
      return (h, s), h

    zeros = jnp.zeros((len(x), p['u'].shape[0]))
    _, hs = jax.lax.scan(step, (zeros, zeros), x.swapaxes(0, 1))
    return hs[-1] @ p['out']

  p = weights(w=(3, 20), u=(5, 20), b=(20,), out=(5, 2))
  return plain(f, p, SERIES, '5 w:1*4 u:0 u:1*4 b:0*4 out:0')


def gru():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(2)(nn.RNN(nn.GRUCell(5, name='c'))(x)[:, -1])

  return linen(
    Model(),
    SERIES,
    '5 c/ir/kernel:1 c/iz/kernel:1 c/in/kernel:1 c/ir/bias:0 c/iz/bias:0 '
    'c/in/bias:0 c/hr/kernel:0 c/hr/kernel:1 c/hz/kernel:0 c/hz/kernel:1 '
    'c/hn/kernel:0 c/hn/kernel:1 c/hn/bias:0 Dense_0/kernel:0',
  )


def branches():
  def f(p, x):
    scale = lambda h: relu(h) * p['s']
    mix = lambda h: jnp.tanh(h @ p['m'])
    return jax.lax.cond(x.sum() > 0, scale, mix, x @ p['w1']) @ p['w2']

  p = weights(w1=(3, 6), s=(6,), m=(6, 6), w2=(6, 2))
  return plain(f, p, X, '6 w1:1 s:0 m:0 m:1 w2:0')


def while_loop():
  def f(p, x):
    turn = lambda c: (c[0] + 1, jnp.tanh(c[1] @ p['m']))
    _, h = jax.lax.while_loop(lambda c: c[0] < 3, turn, (0, x @ p['w1']))
    return h @ p['w2']

  p = weights(w1=(3, 6), m=(6, 6), w2=(6, 2))
  return plain(f, p, X, '6 w1:1 m:0 m:1 w2:0')


def calls():
  """One jitted function called three times, and rematerialization."""

  def f(p, x):
    layer = jax.jit(lambda h, w: relu(h @ w))
    h = jax.checkpoint(lambda x: jnp.sin(x @ p['w0']))(x)
    h = layer(layer(layer(h, p['w1']), p['w2']), p['w3'])
    return h @ p['w4']

  p = weights(w0=(3, 6), w1=(6, 6), w2=(6, 6), w3=(6, 6), w4=(6, 2))
  groups = '6 w0:1 w1:0', '6 w1:1 w2:0', '6 w2:1 w3:0', '6 w3:1 w4:0'
  return plain(f, p, X, *groups)


@jax.custom_vjp
def straight_through_round(x):
  return jnp.round(x)


straight_through_round.defvjp(
  lambda x: (straight_through_round(x), None), lambda _, g: (g,)
)


def custom_gradient():
  f = lambda p, x: straight_through_round(x @ p['w1']) @ p['w2']
  return plain(f, weights(w1=(3, 6), w2=(6, 2)), X, '6 w1:1 w2:0')


def dropout():
  """All of the mask is drawn, then cut."""

  def f(p, x, key):
    h = relu(x @ p['w1'])
    mask = jax.random.bernoulli(key, 0.5, h.shape)
    return jnp.where(mask, h / 0.5, 0.0) @ p['w2']

  p = weights(w1=(3, 6), w2=(6, 2))
  inputs = (*X, jax.random.key(3))
  return plain(f, p, inputs, '6 w1:1 w2:0', adapts=False)


def copies():
  """Stacks, tiles and repeats make copies, which are no channels."""

  def f(p, x):
    h = jnp.tanh(x @ p['a'])
    u, v = jnp.unstack(jnp.stack([h, h * 2], 1), axis=1)
    z = jnp.concatenate([jnp.tile(u, (1, 2)), jnp.repeat(v, 2, 1)], -1)
    return z @ p['b']

  return plain(f, weights(a=(3, 5), b=(20, 2)), X, '5 a:1 b:0*4', adapts=False)


def unknown_operation():
  """What meets it is frozen and it is named; the rest is free."""

  def f(p, x):
    h = x @ p['w1']
    h = jax.pure_callback(np.sort, h, h)
    return relu(h @ p['w2']) @ p['w3']

  p = weights(w1=(3, 6), w2=(6, 5), w3=(5, 2))
  frozen = {'w1:1': 'no rule for this primitive'}
  return plain(
    f, p, X, '5 w2:1 w3:0', unknown=('pure_callback',), frozen=frozen
  )


def cumulative_sum():
  f = lambda p, x: jnp.cumsum(x @ p['w1'], -1) @ p['w2']
  frozen = {'w1:1': 'cumulative over a channel axis'}
  return plain(f, weights(w1=(3, 6), w2=(6, 2)), X, frozen=frozen)


def conflicting_reshapes():
  """12 is 3 x 4 on one path and 4 x 3 on the other."""

  def f(p, x):
    h = x @ p['w1']
    a = h.reshape(-1, 3, 4).sum(1) @ p['u']
    return a + h.reshape(-1, 4, 3).sum(1) @ p['v']

  p = weights(w1=(3, 12), u=(4, 2), v=(3, 2))
  return plain(f, p, X, frozen={'w1:1': ''})


def logarithm_of_zero():
  """-inf times a row of zeros is not zero."""
  f = lambda p, x: jnp.log(jnp.abs(x @ p['w1'])) @ p['w2']
  p = weights(w1=(3, 6), w2=(6, 2))
  return plain(f, p, X, frozen={'w1:1': 'not finite'})

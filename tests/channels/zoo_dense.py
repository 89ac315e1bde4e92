"""Networks of dense layers: gates, concatenation, normalization, tables."""

import jax
import jax.numpy as jnp
import numpy as np
from zoo import normal, plain, weights

X = (normal(4, 3),)
IDS = (np.array([[1, 2, 3], [4, 4, 0]]),)


def mlp():
  def f(p, x):
    h = jax.nn.relu(x @ p['w1'] + p['b1'])
    h = jnp.tanh(h @ p['w2'] + p['b2'])
    return h @ p['w3'] + p['b3']

  p = weights(w1=(3, 8), b1=(8,), w2=(8, 6), b2=(6,), w3=(6, 2), b3=(2,))
  return plain(f, p, X, '8 w1:1 b1:0 w2:0', '6 w2:1 b2:0 w3:0')


def mlp_sigmoid():
  """sigmoid(0) = 1/2 would leak if only the producers were masked."""
  f = lambda p, x: jax.nn.sigmoid(x @ p['w1'] + p['b1']) @ p['w2']
  p = weights(w1=(3, 8), b1=(8,), w2=(8, 2))
  return plain(f, p, X, '8 w1:1 b1:0 w2:0')


def concat_reversed():
  def f(p, x):
    h = jnp.tanh(x @ p['w1'])
    return jnp.concatenate([h, h[..., ::-1]], -1) @ p['w2']

  return plain(f, weights(w1=(3, 6), w2=(12, 2)), X, '6 w1:1 w2:0*2')


def glu_split():
  def f(p, x):
    a, b = jnp.split(x @ p['w'] + p['b'], 2, -1)
    return (a * jax.nn.sigmoid(b)) @ p['o']

  p = weights(w=(3, 12), b=(12,), o=(6, 2))
  return plain(f, p, X, '6 w:1*2 b:0*2 o:0')


def swiglu():
  f = lambda p, x: (jax.nn.silu(x @ p['g']) * (x @ p['u'])) @ p['d']
  p = weights(g=(3, 8), u=(3, 8), d=(8, 2))
  return plain(f, p, X, '8 g:1 u:1 d:0')


def maxout():
  def f(p, x):
    h = (x @ p['w1'] + p['b1']).reshape(len(x), -1, 3).max(-1)
    return h @ p['w2']

  p = weights(w1=(3, 12), b1=(12,), w2=(4, 2))
  return plain(f, p, X, '4 w1:1*3 b1:0*3 w2:0')


def outer_product():
  """Bilinear pooling: entry (i, j) goes with i or with j."""

  def f(p, x):
    a, b = x @ p['a'], x @ p['b']
    return (a[:, :, None] * b[:, None, :]).reshape(len(x), -1) @ p['w']

  p = weights(a=(3, 4), b=(3, 5), w=(20, 2))
  return plain(f, p, X, '4 a:1 w:0*5', '5 b:1 w:0*4')


def self_outer_product():
  """Channel i owns row i and column i of a 5 x 5 grid."""

  def f(p, x):
    a = x @ p['a']
    return (a[:, :, None] * a[:, None, :]).reshape(len(x), -1) @ p['w']

  return plain(f, weights(a=(3, 5), w=(25, 2)), X, '5 a:1 w:0*9')


def two_towers():
  """Weights shared by two inputs."""

  def f(p, a, b):
    x, y = (jax.nn.relu(t @ p['w1'] + p['b1']) @ p['w2'] for t in (a, b))
    return jnp.sum(x * y, -1), jnp.concatenate([x, y], -1) @ p['h']

  p = weights(w1=(3, 8), b1=(8,), w2=(8, 5), h=(10, 2))
  inputs = (*X, normal(4, 3, seed=2))
  return plain(f, p, inputs, '8 w1:1 b1:0 w2:0', '5 w2:1 h:0*2')


def multi_output():
  """One head is a slice of the hidden layer: those channels are pinned."""

  def f(p, x):
    h = jax.nn.relu(x @ p['w1'])
    return {'logits': h @ p['w2'], 'probe': h[:, :3]}

  p = weights(w1=(3, 8), w2=(8, 2))
  return plain(f, p, X, '5 w1:1 w2:0', adapts=False)


def low_rank_adapter():
  f = lambda p, x: jax.nn.relu(x @ (p['w'] + p['a'] @ p['b'])) @ p['o']
  p = weights(w=(3, 6), a=(3, 4), b=(4, 6), o=(6, 2))
  return plain(f, p, X, '4 a:1 b:0', '6 w:1 b:1 o:0')


def channel_scale():
  """Per-channel quantization: the scale couples with the outputs."""

  def f(p, x):
    s = jnp.abs(p['s']) + 1e-3
    w = jnp.clip(jnp.round(p['w'] / s), -127, 127) * s
    return jax.nn.relu(x @ w) @ p['o']

  p = weights(w=(3, 6), s=(6,), o=(6, 2))
  return plain(f, p, X, '6 w:1 s:0 o:0')


def l2_normalise():
  """Divides by a norm, not by a count."""

  def f(p, x):
    h = x @ p['w1']
    return h / jnp.sqrt(jnp.sum(h * h, -1, keepdims=True) + 1e-6) @ p['w2']

  return plain(f, weights(w1=(3, 6), w2=(6, 2)), X, '6 w1:1 w2:0')


def _rmsnorm(p, x):
  h = x @ p['w1']
  mean = jnp.mean(h * h, -1, keepdims=True)
  h = h * jax.lax.rsqrt(mean + 1e-6) * p['s']
  return jax.nn.silu(h @ p['w2']) @ p['w3']


def rmsnorm():
  """The normalized width has a meaning, the next one is free."""
  p = weights(w1=(3, 6), s=(6,), w2=(6, 8), w3=(8, 2))
  frozen = {'w1:1': 'mean over a channel axis'}
  return plain(_rmsnorm, p, X, '8 w2:1 w3:0', frozen=frozen)


def rmsnorm_exact():
  """The divisor stays 6: not what a module with fewer channels computes."""
  p = weights(w1=(3, 6), s=(6,), w2=(6, 8), w3=(8, 2))
  groups = '8 w2:1 w3:0', '6 w1:1 s:0 w2:0'
  options = {'reductions': 'exact'}
  return plain(_rmsnorm, p, X, *groups, adapts=False, options=options)


def weight_standardisation():
  """A kernel is normalized over its inputs, which then have a meaning."""

  def f(p, x):
    h = jax.nn.relu(x @ p['w1'])
    w = (p['w2'] - p['w2'].mean(0)) / (p['w2'].std(0) + 1e-5)
    return jax.nn.relu(h @ w) @ p['w3']

  p = weights(w1=(3, 6), w2=(6, 5), w3=(5, 2))
  return plain(f, p, X, '5 w2:1 w3:0', frozen={'w1:1': 'mean'})


def position_table():
  """A constant that is added to channels is cut with them."""
  table = np.sin(np.outer(np.arange(5), np.arange(1, 7))).astype(np.float32)
  f = lambda p, x: jax.nn.gelu(x @ p['w1'] + table) @ p['w2']
  p, x = weights(w1=(3, 6), w2=(6, 2)), (normal(2, 5, 3),)
  return plain(f, p, x, '6 w1:1 w2:0', adapts=False, noted=True)


def embedding_classifier():
  f = lambda p, i: jax.nn.relu(p['e'][i].mean(1) @ p['w1']) @ p['w2']
  p = weights(e=(11, 6), w1=(6, 7), w2=(7, 2))
  groups = '6 e:1 w1:0', '7 w1:1 w2:0'
  return plain(f, p, IDS, *groups, frozen={'e:0': 'indexed axis'})


def one_hot_embedding():
  """one_hot compares with positions, so rows cannot go."""
  f = lambda p, i: jax.nn.one_hot(i, 11) @ p['e'] @ p['w']
  return plain(f, weights(e=(11, 6), w=(6, 2)), IDS, '6 e:1 w:0')


def mixture_of_experts():
  """Experts have a meaning; their hidden width is shared and free."""

  def f(p, x):
    g, i = jax.lax.top_k(jax.nn.softmax(x @ p['r'], -1), 2)
    h = jax.nn.relu(jnp.einsum('bi,bkih->bkh', x, p['w1'][i]))
    return jnp.einsum('bk,bkh,bkho->bo', g, h, p['w2'][i])

  p = weights(r=(3, 4), w1=(4, 3, 6), w2=(4, 6, 2))
  frozen = {'r:1': '', 'w1:0': 'indexed axis'}
  return plain(f, p, X, '6 w1:2 w2:1', frozen=frozen)


def mixer():
  """Tokens come from the input; the hidden sizes are free."""

  def f(p, x):
    x = jnp.einsum('btp,pc->btc', x, p['e'])
    t = jax.nn.gelu(jnp.einsum('btc,th->bhc', x, p['t1']))
    x = x + jnp.einsum('bhc,ht->btc', t, p['t2'])
    x = x + jax.nn.gelu(x @ p['c1']) @ p['c2']
    return jnp.einsum('btc,co->bo', x, p['o'])

  p = weights(e=(3, 6), t1=(4, 7), t2=(7, 4), c1=(6, 8), c2=(8, 6), o=(6, 2))
  groups = '6 e:1 c1:0 c2:1 o:0', '7 t1:1 t2:0', '8 c1:1 c2:0'
  return plain(f, p, (normal(2, 4, 3),), *groups)

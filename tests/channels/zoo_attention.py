"""Attention: heads and dims, fused, shared and rotated projections."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from zoo import linen, normal, plain, stateful, weights

X = (normal(2, 5, 6),)


class Block(nn.Module):
  @nn.compact
  def __call__(self, x):
    h = nn.LayerNorm()(x)
    x = x + nn.MultiHeadDotProductAttention(2, qkv_features=12, name='a')(h)
    h = nn.gelu(nn.Dense(10)(nn.LayerNorm()(x)))
    return x + nn.Dense(8)(h)


def transformer_linen():
  """Query and key dims are one group, and carry the scale 1/sqrt(6)."""
  return linen(
    Block(),
    (normal(2, 5, 8),),
    '2 a/query/kernel:1 a/key/kernel:1 a/value/kernel:1 a/query/bias:0 '
    'a/key/bias:0 a/value/bias:0 a/out/kernel:0',
    '6 a/query/kernel:2 a/key/kernel:2 a/query/bias:1 a/key/bias:1',
    '6 a/value/kernel:2 a/value/bias:1 a/out/kernel:1',
    '10 Dense_0/kernel:1 Dense_0/bias:0 Dense_1/kernel:0',
    noted=True,
  )


class StatefulBlock(nnx.Module):
  def __init__(self, rngs):
    self.n1, self.n2 = (nnx.LayerNorm(8, rngs=rngs) for _ in range(2))
    self.a = nnx.MultiHeadAttention(
      3, in_features=8, qkv_features=12, decode=False, rngs=rngs
    )
    self.up = nnx.Linear(8, 10, rngs=rngs)
    self.down = nnx.Linear(10, 8, rngs=rngs)

  def __call__(self, x):
    x = x + self.a(self.n1(x))
    return x + self.down(nnx.gelu(self.up(self.n2(x))))


def transformer_nnx():
  return stateful(
    StatefulBlock,
    (normal(2, 5, 8),),
    '3 a/query/kernel:1 a/key/kernel:1 a/value/kernel:1 a/query/bias:0 '
    'a/key/bias:0 a/value/bias:0 a/out/kernel:0',
    '4 a/query/kernel:2 a/key/kernel:2 a/query/bias:1 a/key/bias:1',
    '4 a/value/kernel:2 a/value/bias:1 a/out/kernel:1',
    '10 up/kernel:1 up/bias:0 down/kernel:0',
    noted=True,
  )


def _attend(q, k, v, scale):
  a = jax.nn.softmax(jnp.einsum('bqhd,bkhd->bhqk', q, k) * scale, -1)
  return jnp.einsum('bhqk,bkhd->bqhd', a, v).reshape(*q.shape[:2], -1)


def fused_projection():
  """(3, heads, dims) come out of one reshape: dims of q, k, v are one."""

  def f(p, x):
    y = (x @ p['qkv'] + p['b']).reshape(2, 5, 3, 4, 4)
    return _attend(*jnp.moveaxis(y, 2, 0), 0.5) @ p['o']

  p = weights(qkv=(6, 48), b=(48,), o=(16, 6))
  heads_and_dims = '4 qkv:1*12 b:0*12 o:0*4', '4 qkv:1*12 b:0*12 o:0*4'
  return plain(f, p, X, *heads_and_dims, adapts=False, noted=True)


def split_projection():
  """Cut first: the dims of values are a group of their own."""

  def f(p, x):
    parts = jnp.split(x @ p['qkv'], 3, -1)
    q, k, v = (part.reshape(2, 5, 2, 4) for part in parts)
    return _attend(q, k, v, 0.5) @ p['o']

  p = weights(qkv=(6, 24), o=(8, 6))
  groups = '2 qkv:1*12 o:0*4', '4 qkv:1*4', '4 qkv:1*2 o:0*2'
  return plain(f, p, X, *groups, adapts=False)


def grouped_queries():
  """Four query heads share two heads of keys and values."""

  def f(p, x):
    q = (x @ p['q']).reshape(2, 5, 2, 2, 3)
    k, v = ((x @ p[n]).reshape(2, 5, 2, 3) for n in 'kv')
    a = jax.nn.softmax(jnp.einsum('bqkgd,btkd->bkgqt', q, k), -1)
    o = jnp.einsum('bkgqt,btkd->bqkgd', a, v)
    return o.reshape(2, 5, 12) @ p['o']

  p = weights(q=(6, 12), k=(6, 6), v=(6, 6), o=(12, 6))
  groups = (
    '2 q:1*6 k:1*3 v:1*3 o:0*6',
    '2 q:1*6 o:0*6',
    '3 q:1*4 k:1*2',
    '3 v:1*2 o:0*4',
  )
  return plain(f, p, X, *groups, adapts=False)


def rotary_positions():
  """Angles depend on the position of a dim: those of q and k stay."""

  def f(p, x):
    q, k, v = ((x @ p[n]).reshape(2, 5, 2, 4) for n in 'qkv')
    angle = jnp.arange(5)[:, None] * 10.0 ** (-jnp.arange(2) / 2)
    c, s = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]

    def rotate(a):
      low, high = jnp.split(a, 2, -1)
      return jnp.concatenate([low * c - high * s, high * c + low * s], -1)

    return _attend(rotate(q), rotate(k), v, 0.3) @ p['o']

  p = weights(q=(6, 8), k=(6, 8), v=(6, 8), o=(8, 6))
  groups = '2 q:1*4 k:1*4 v:1*4 o:0*4', '4 v:1*2 o:0*2'
  return plain(f, p, X, *groups, adapts=False)


def all_sizes_are_four():
  """Batch, time, heads x dims and channels: structure decides, not size."""

  def f(p, x):
    q, k, v = ((x @ p[n]).reshape(4, 4, 2, 2) for n in 'qkv')
    return _attend(q, k, v, 0.3) @ p['o']

  p = weights(q=(4, 4), k=(4, 4), v=(4, 4), o=(4, 4))
  groups = '2 q:1*2 k:1*2 v:1*2 o:0*2', '2 q:1*2 k:1*2', '2 v:1*2 o:0*2'
  return plain(f, p, (normal(4, 4, 4),), *groups, adapts=False)


def causal_mask():
  """-inf on tokens says nothing of heads."""

  def f(p, x):
    q, k, v = (jnp.einsum('btc,chd->bthd', x, p[n]) for n in 'qkv')
    scores = jnp.einsum('bqhd,bkhd->bhqk', q, k)
    below = np.tril(np.ones((5, 5), bool))
    a = jax.nn.softmax(jnp.where(below, scores, -jnp.inf), -1)
    return jnp.einsum('bhqk,bkhd,hdo->bqo', a, v, p['o'])

  p = weights(q=(6, 3, 4), k=(6, 3, 4), v=(6, 3, 4), o=(3, 4, 6))
  groups = '3 q:1 k:1 v:1 o:0', '4 q:2 k:2', '4 v:2 o:1'
  return plain(f, p, X, *groups)


def sigmoid_queries():
  """A masked dim would add 1/4 to each score."""

  def f(p, x):
    q, k = jax.nn.sigmoid(x @ p['q']), jax.nn.sigmoid(x @ p['k'])
    a = jax.nn.softmax(jnp.einsum('btd,bsd->bts', q, k), -1)
    return a @ (x @ p['v']) @ p['o']

  p = weights(q=(6, 4), k=(6, 4), v=(6, 5), o=(5, 6))
  frozen = {'q:1': 'not provably 0', 'k:1': 'not provably 0'}
  return plain(f, p, X, '5 v:1 o:0', frozen=frozen)

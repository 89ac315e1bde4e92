"""Convolutional networks: flattens, shortcuts, groups, shuffles, pooling."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from zoo import conv, normal, plain, weights

from jcompress import ops

relu = jax.nn.relu
SMALL, LARGE = (normal(2, 4, 4, 2),), (normal(2, 5, 5, 2),)


def conv_flatten_dense():
  def f(p, x):
    h = relu(conv(x, p['k']) + p['b'])
    return h.reshape(len(x), -1) @ p['w']

  p = weights(k=(3, 3, 2, 5), b=(5,), w=(80, 3))
  return plain(f, p, SMALL, '5 k:3 b:0 w:0*16')


def conv_flatten_dense_channels_first():
  def f(p, x):
    h = relu(conv(x, p['k']) + p['b']).transpose(0, 3, 1, 2)
    return h.reshape(len(x), -1) @ p['w']

  p = weights(k=(3, 3, 2, 5), b=(5,), w=(80, 3))
  return plain(f, p, SMALL, '5 k:3 b:0 w:0*16')


def dense_reshape_conv():
  """A generator: a channel of the convolution owns 16 dense features."""

  def f(p, z):
    h = relu(z @ p['w'] + p['b']).reshape(len(z), 4, 4, -1)
    return conv(h, p['k'])

  p = weights(w=(3, 80), b=(80,), k=(3, 3, 5, 2))
  return plain(f, p, (normal(2, 3),), '5 w:1*16 b:0*16 k:2')


def residual_add():
  def f(p, x):
    h = relu(conv(x, p['k0']))
    h = h + conv(relu(conv(h, p['k1'])), p['k2'])
    return h.mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 6), k1=(3, 3, 6, 4), k2=(3, 3, 4, 6), w=(6, 3))
  return plain(f, p, LARGE, '6 k0:3 k1:2 k2:3 w:0', '4 k1:3 k2:2')


def pad_shortcut():
  """ResNet's option A: strides, then zero channels around the old ones."""

  def f(p, x):
    h = relu(conv(x, p['k0']))
    zeros = ((0, 0), (0, 0), (0, 0), (1, 3))
    y = jnp.pad(h[:, ::2, ::2], zeros) + conv(h, p['k1'], stride=2)
    return y.mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 4), k1=(3, 3, 4, 8), w=(8, 3))
  groups = '4 k0:3 k1:2 k1:3 w:0', '4 k1:3 w:0'
  return plain(f, p, (normal(2, 6, 6, 2),), *groups, adapts=False)


def densenet():
  def f(p, x):
    a = relu(conv(x, p['k0']))
    c = jnp.concatenate([a, relu(conv(a, p['k1']))], -1)
    d = relu(conv(c, p['k2']))
    return jnp.concatenate([c, d], -1).mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 4), k1=(3, 3, 4, 3), k2=(3, 3, 7, 5), w=(12, 3))
  groups = '4 k0:3 k1:2 k2:2 w:0', '3 k1:3 k2:2 w:0', '5 k2:3 w:0'
  return plain(f, p, LARGE, *groups)


def depthwise_multiplier():
  """Units are input channels with both outputs, or one output of each."""

  def f(p, x):
    h = relu(conv(x, p['k0']))
    h = relu(conv(h, p['dw'], groups=h.shape[-1]))
    return h.mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 5), dw=(3, 3, 1, 10), w=(10, 3))
  return plain(f, p, LARGE, '5 k0:3 dw:3*2 w:0*2', '2 dw:3*5 w:0*5')


def grouped_conv():
  """Whole groups, an input of each group, an output of each group."""

  def f(p, x):
    h = relu(conv(x, p['k0']))
    h = relu(conv(h, p['k1'], groups=h.shape[-1] // p['k1'].shape[2]))
    return h.mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 12), k1=(3, 3, 4, 6), w=(6, 2))
  groups = '3 k0:3*4 k1:3*2 w:0*2', '4 k0:3*3 k1:2', '2 k1:3*3 w:0*3'
  return plain(f, p, LARGE, *groups)


def crelu():
  """Both halves of a unit go together, those of its opposite kernel too."""

  def f(p, x):
    h = ops.crelu(conv(x, p['k0']) + p['b'])
    h = conv(h, jnp.concatenate([p['k1'], -p['k1']], -1))
    return relu(h).mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 5), b=(5,), k1=(3, 3, 10, 3), w=(6, 2))
  return plain(f, p, LARGE, '5 k0:3 b:0 k1:2*2', '3 k1:3 w:0*2')


def _shuffle_unit(groups, bottleneck, *known):
  def f(p, x):
    h = relu(conv(x, p['k0']))
    y = ops.channel_shuffle(conv(h, p['k1'], groups=groups), groups)
    y = conv(conv(y, p['dw'], groups=bottleneck), p['k2'], groups=groups)
    return relu(h + y).mean((1, 2)) @ p['w']

  n = 2 * groups
  p = weights(
    k0=(1, 1, 2, n),
    k1=(1, 1, 2, bottleneck),
    dw=(3, 3, 1, bottleneck),
    k2=(1, 1, bottleneck // groups, n),
    w=(n, 2),
  )
  return plain(f, p, SMALL, *known, adapts=False)


def shuffle_unit():
  """Of the maps between a pair of each group must go, for both groups."""
  inputs = '2 k0:3*2 k1:2 k2:3*2 w:0*2'
  pairs = '2 k1:3*4 dw:3*4 k2:2*2'
  # A whole group, and of the maps between half of those of the other.
  whole = '1 k0:3*2 k1:3*6 dw:3*6 k2:2*2 k2:3*2 w:0*2'
  return _shuffle_unit(2, 8, inputs, pairs, whole, whole)


def shuffle_unit_uneven():
  """Two maps a group are dealt to three groups: each has other ones."""
  return _shuffle_unit(3, 6, '2 k0:3*3 k1:2 k2:3*3 w:0*3')


def shufflenet():
  """A grouped convolution, a channel shuffle, a depthwise convolution."""

  def f(p, x):
    h = relu(conv(conv(x, p['k0']), p['k1'], groups=2))
    h = h.reshape(2, 4, 4, 2, 3).swapaxes(3, 4).reshape(2, 4, 4, 6)
    return conv(h, p['dw'], groups=6).mean((1, 2)) @ p['w']

  p = weights(k0=(1, 1, 2, 4), k1=(1, 1, 2, 6), dw=(3, 3, 1, 6), w=(6, 2))
  groups = (
    '2 k0:3*2 k1:3*3 dw:3*3 w:0*3',
    '2 k0:3*2 k1:2',
    '3 k1:3*2 dw:3*2 w:0*2',
  )
  return plain(f, p, SMALL, *groups, adapts=False)


def pooling():
  def f(p, x):
    h = nn.max_pool(relu(conv(x, p['k0'])), (2, 2), strides=(2, 2))
    h = nn.avg_pool(relu(conv(h, p['k1'])), (2, 2), padding='SAME')
    return h.max((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 4), k1=(3, 3, 4, 5), w=(5, 2))
  return plain(f, p, (normal(2, 6, 6, 2),), '4 k0:3 k1:2', '5 k1:3 w:0')


def bilinear_resize():
  def f(p, x):
    h = relu(conv(x, p['k0']))
    h = jax.image.resize(h, (2, 8, 8, h.shape[3]), 'bilinear')
    return conv(h, p['k1'])

  p = weights(k0=(3, 3, 2, 5), k1=(3, 3, 5, 1))
  return plain(f, p, SMALL, '5 k0:3 k1:2')


def pixel_shuffle():
  """A channel after the shuffle owns four before it."""

  def f(p, x):
    h = conv(x, p['k0'])
    b, s, t, c = h.shape
    h = h.reshape(b, s, t, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return conv(relu(h.reshape(b, 2 * s, 2 * t, c // 4)), p['k1'])

  p = weights(k0=(3, 3, 2, 12), k1=(3, 3, 3, 1))
  return plain(f, p, SMALL, '3 k0:3*4 k1:2')


def space_to_depth():
  def f(p, x):
    h = relu(conv(x, p['k0']))
    b, s, t, c = h.shape
    h = h.reshape(b, s // 2, 2, t // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return conv(h.reshape(b, s // 2, t // 2, 4 * c), p['k1'])

  p = weights(k0=(3, 3, 2, 3), k1=(3, 3, 12, 1))
  return plain(f, p, SMALL, '3 k0:3 k1:2*4')


def broadcast_one_channel():
  """A map of one channel is added to all channels and gates them."""

  def f(p, x):
    h = conv(x, p['k0'])
    m = jax.nn.sigmoid(conv(h, p['m']))
    return (relu(h + m) * m).mean((1, 2)) @ p['w']

  p = weights(k0=(3, 3, 2, 5), m=(1, 1, 5, 1), w=(5, 2))
  return plain(f, p, SMALL, '5 k0:3 m:2 w:0', frozen={'m:3': 'size 1'})

"""Modules of flax linen and nnx."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax import nnx
from zoo import linen, normal, stateful

IMAGES, ROWS = (normal(2, 5, 5, 2),), (normal(4, 3),)
IDS = (np.array([[1, 2, 3]]),)


def residual_projection():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      y = nn.relu(nn.Conv(6, (3, 3), strides=2)(x))
      y = nn.Conv(8, (3, 3))(y)
      x = nn.Conv(8, (1, 1), strides=2)(x)
      return nn.Dense(3)(nn.relu(x + y).mean((1, 2)))

  return linen(
    Model(),
    (normal(2, 6, 6, 2),),
    '6 Conv_0/kernel:3 Conv_0/bias:0 Conv_1/kernel:2',
    '8 Conv_1/kernel:3 Conv_1/bias:0 Conv_2/kernel:3 Conv_2/bias:0 '
    'Dense_0/kernel:0',
  )


def depthwise_separable():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.Conv(6, (3, 3))(x))
      x = nn.relu(nn.Conv(6, (3, 3), feature_group_count=6)(x))
      x = nn.relu(nn.Conv(5, (1, 1))(x))
      return nn.Dense(2)(x.mean((1, 2)))

  return linen(
    Model(),
    IMAGES,
    '6 Conv_0/kernel:3 Conv_0/bias:0 Conv_1/kernel:3 Conv_1/bias:0 '
    'Conv_2/kernel:2',
    '5 Conv_2/kernel:3 Conv_2/bias:0 Dense_0/kernel:0',
  )


def unet():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      a = nn.relu(nn.Conv(4, (3, 3))(x))
      b = nn.relu(nn.Conv(6, (3, 3), strides=2)(a))
      u = nn.relu(nn.ConvTranspose(5, (2, 2), strides=(2, 2))(b))
      return nn.Conv(1, (1, 1))(jnp.concatenate([a, u], -1))

  return linen(
    Model(),
    (normal(2, 6, 6, 2),),
    '4 Conv_0/kernel:3 Conv_0/bias:0 Conv_1/kernel:2 Conv_2/kernel:2',
    '6 Conv_1/kernel:3 Conv_1/bias:0 ConvTranspose_0/kernel:2',
    '5 ConvTranspose_0/kernel:3 ConvTranspose_0/bias:0 Conv_2/kernel:2',
  )


def conv_transpose_flipped():
  """`transpose_kernel` swaps the channel axes of the kernel."""

  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.Conv(4, (3, 3))(x))
      up = nn.ConvTranspose(5, (3, 3), strides=(2, 2), transpose_kernel=True)
      return nn.Conv(1, (1, 1))(nn.relu(up(x)))

  return linen(
    Model(),
    IMAGES,
    '4 Conv_0/kernel:3 Conv_0/bias:0 ConvTranspose_0/kernel:3',
    '5 ConvTranspose_0/kernel:2 ConvTranspose_0/bias:0 Conv_1/kernel:2',
  )


class ConvNorm(nn.Module):
  train: bool = False

  @nn.compact
  def __call__(self, x):
    x = nn.BatchNorm(not self.train)(nn.Conv(5, (3, 3))(x))
    return nn.Dense(2)(nn.relu(x).mean((1, 2)))


NORMED = (
  '5 Conv_0/kernel:3 Conv_0/bias:0 BatchNorm_0/scale:0 BatchNorm_0/bias:0 '
  'batch_stats/BatchNorm_0/mean:0 batch_stats/BatchNorm_0/var:0 '
  'Dense_0/kernel:0'
)


def batch_norm():
  return linen(ConvNorm(), IMAGES, NORMED)


def batch_norm_in_training():
  """The new statistics are outputs that may shrink."""
  options = {'free_outputs': r'1/batch_stats/.*'}
  model = ConvNorm(train=True)
  return linen(model, IMAGES, NORMED, mutable=['batch_stats'], options=options)


def batch_norm_statistics_as_outputs():
  """Otherwise they pin the channels."""
  frozen = {'Conv_0/kernel:3': 'network output'}
  model = ConvNorm(train=True)
  return linen(model, IMAGES, mutable=['batch_stats'], frozen=frozen)


def layer_norm():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.LayerNorm()(nn.Dense(6)(x))
      x = nn.gelu(nn.Dense(8)(x))
      return nn.Dense(2)(x)

  frozen = {
    'Dense_0/kernel:1': 'mean over a channel axis',
    'LayerNorm_0/scale:0': 'mean over a channel axis',
  }
  hidden = '8 Dense_1/kernel:1 Dense_1/bias:0 Dense_2/kernel:0'
  return linen(Model(), ROWS, hidden, frozen=frozen)


def group_norm():
  """Whole groups can go; a channel of a group is part of its mean."""

  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.GroupNorm(4)(nn.Conv(8, (3, 3))(x)))
      return nn.Dense(2)(x.mean((1, 2)))

  return linen(
    Model(),
    IMAGES,
    '4 Conv_0/kernel:3*2 Conv_0/bias:0*2 GroupNorm_0/scale:0*2 '
    'GroupNorm_0/bias:0*2 Dense_0/kernel:0*2',
  )


def squeeze_excite():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.Conv(6, (3, 3))(x))
      s = nn.relu(nn.Dense(4)(x.mean((1, 2))))
      s = nn.sigmoid(nn.Dense(6)(s))
      return nn.Dense(2)((x * s[:, None, None]).mean((1, 2)))

  return linen(
    Model(),
    IMAGES,
    '6 Conv_0/kernel:3 Conv_0/bias:0 Dense_0/kernel:0 Dense_1/kernel:1 '
    'Dense_1/bias:0 Dense_2/kernel:0',
    '4 Dense_0/kernel:1 Dense_0/bias:0 Dense_1/kernel:0',
  )


def tied_embedding():
  """Rows are looked up and are the output; features go with the body."""

  class Model(nn.Module):
    @nn.compact
    def __call__(self, ids):
      table = nn.Embed(11, 6)
      x = table(ids)
      up, down = nn.Dense(9, name='up'), nn.Dense(6, name='down')
      return table.attend(x + down(nn.relu(up(x))))

  return linen(
    Model(),
    IDS,
    '6 Embed_0/embedding:1 up/kernel:0 down/kernel:1 down/bias:0',
    '9 up/kernel:1 up/bias:0 down/kernel:0',
    frozen={'Embed_0/embedding:0': 'indexed axis'},
  )


def dropout_off():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.Dropout(0.5, deterministic=True)(nn.relu(nn.Dense(6)(x)))
      return nn.Dense(2)(x)

  hidden = '6 Dense_0/kernel:1 Dense_0/bias:0 Dense_1/kernel:0'
  return linen(Model(), ROWS, hidden)


def conv_norm_nnx():
  class Model(nnx.Module):
    def __init__(self, rngs):
      self.c1 = nnx.Conv(2, 5, (3, 3), rngs=rngs)
      self.bn = nnx.BatchNorm(5, use_running_average=True, rngs=rngs)
      self.c2 = nnx.Conv(5, 4, (3, 3), rngs=rngs)
      self.out = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
      x = nnx.relu(self.bn(self.c1(x)))
      return self.out(nnx.relu(self.c2(x)).mean((1, 2)))

  return stateful(
    Model,
    IMAGES,
    '5 c1/kernel:3 c1/bias:0 bn/scale:0 bn/bias:0 bn/mean:0 bn/var:0 '
    'c2/kernel:2',
    '4 c2/kernel:3 c2/bias:0 out/kernel:0',
  )


def grouped_conv_nnx():
  class Model(nnx.Module):
    def __init__(self, rngs):
      conv = lambda i, o, n: nnx.Conv(
        i, o, (3, 3), feature_group_count=n, rngs=rngs
      )
      self.c1, self.dw, self.gc = conv(2, 6, 1), conv(6, 6, 6), conv(6, 4, 2)
      self.out = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
      x = nnx.relu(self.dw(nnx.relu(self.c1(x))))
      return self.out(nnx.relu(self.gc(x)).mean((1, 2)))

  return stateful(
    Model,
    IMAGES,
    '2 c1/kernel:3*3 c1/bias:0*3 dw/kernel:3*3 dw/bias:0*3 gc/kernel:3*2 '
    'gc/bias:0*2 out/kernel:0*2',
    '3 c1/kernel:3*2 c1/bias:0*2 dw/kernel:3*2 dw/bias:0*2 gc/kernel:2',
    '2 gc/kernel:3*2 gc/bias:0*2 out/kernel:0*2',
  )

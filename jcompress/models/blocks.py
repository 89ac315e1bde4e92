"""Blocks of small networks that stand for one larger convolution."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from jcompress.models.parts import HE, normed_conv
from jcompress.numerics.channel_order import channel_shuffle

Maps = Num[Array | np.ndarray, 'batch h w c']


class Fire(nn.Module):
  """A 1x1 convolution to a few maps, then 1x1 and 3x3 ones side by side.

  Layers `squeeze`, `expand1` and `expand3`, each with a bias and a rectifier.

  Attributes:
    squeeze: maps between.
    expand1: outputs of the 1x1 convolution.
    expand3: of the 3x3 one.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Iandola et al., SqueezeNet, 2016, arXiv 1602.07360, section 3.
  """

  squeeze: int
  expand1: int
  expand3: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Maps) -> Num[Array, 'batch h w out']:
    """Computes `[batch, h, w, expand1 + expand3]`."""

    def conv(name, features, window, x):
      layer = nn.Conv(
        features,
        (window, window),
        dtype=self.dtype,
        kernel_init=HE,
        name=name,
      )
      return nn.relu(layer(x))

    x = conv('squeeze', self.squeeze, 1, x)
    sides = [
      conv('expand1', self.expand1, 1, x),
      conv('expand3', self.expand3, 3, x),
    ]
    return jnp.concatenate(sides, -1)


class ShuffleUnit(nn.Module):
  """Grouped 1x1 convolutions around a depthwise one, with a shortcut.

  Layers `reduce`, whose channels are shuffled, `depthwise`, with no rectifier,
  and `expand`, each with a norm, `reduce_norm` and so on. With strides the
  shortcut is the mean of 3x3 windows, beside which the outputs stand.

  Attributes:
    features: outputs; with strides what the inputs leave of them is computed.
    bottleneck: maps between.
    groups: of the 1x1 convolutions.
    strides: 1 or 2.
    is_first: whether the inputs are too few for groups: `reduce` has none.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Zhang et al., ShuffleNet, 2018, arXiv 1707.01083, figure 2.
  """

  features: int
  bottleneck: int
  groups: int = 3
  strides: int = 1
  is_first: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Maps, train: bool = False
  ) -> Num[Array, 'batch h2 w2 out']:
    """Computes `[batch, h, w, features]`.

    Raises:
      ValueError: as many features as there are inputs, with strides; without,
        another number; maps that the groups do not divide.
    """
    n_in, own = x.shape[-1], self.features
    if self.strides > 1:
      own -= n_in
    elif own != n_in:
      own = 0
    if own < 1:
      raise ValueError(
        f'{self.features} features of {n_in} inputs: they must be as many at '
        'stride 1, and more with strides.'
      )
    if own % self.groups or self.bottleneck % self.groups:
      raise ValueError(
        f'A bottleneck of {self.bottleneck} and {own} computed outputs: both '
        f'must be multiples of the {self.groups} groups.'
      )
    layer = _layer(train, self.dtype)
    groups = 1 if self.is_first else self.groups
    y = nn.relu(layer('reduce', x, self.bottleneck, 1, 1, groups))
    y = channel_shuffle(y, self.groups)
    y = layer('depthwise', y, y.shape[-1], 3, self.strides, y.shape[-1])
    y = layer('expand', y, own, 1, 1, self.groups)
    if self.strides == 1:
      return nn.relu(x + y)
    steps = (self.strides, self.strides)
    small = nn.avg_pool(jnp.asarray(x), (3, 3), steps, 'SAME')
    return nn.relu(jnp.concatenate([small, y], -1))


class InvertedResidual(nn.Module):
  """To many maps by 1x1, each filtered by itself, to few maps by 1x1.

  Layers `expand`, `depthwise` and `project`, each with a norm; the last without
  an activation. Where the outputs are like the inputs these are added.

  Attributes:
    features: outputs.
    expansion: maps between, as a multiple of the inputs.
    strides: of the depthwise layer.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Sandler et al., MobileNetV2, 2018, arXiv 1801.04381, section 3.3.
  """

  features: int
  expansion: int = 6
  strides: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Maps, train: bool = False
  ) -> Num[Array, 'batch h2 w2 out']:
    """Computes `[batch, h, w, features]`."""
    layer = _layer(train, self.dtype)
    y = nn.relu6(layer('expand', x, self.expansion * x.shape[-1], 1))
    channels = y.shape[-1]
    y = nn.relu6(layer('depthwise', y, channels, 3, self.strides, channels))
    y = layer('project', y, self.features, 1)
    return x + y if x.shape == y.shape else y


class FactorizedConv(nn.Module):
  """A convolution in two, each with a norm and a rectifier.

  Layers `first` and `last`, and `first_norm` and `last_norm`: of `n x n` and
  `C` channels, `2 n C^2` weights of `n^2 C^2`; or `18` of `25` as 3x3.

  Attributes:
    features: outputs of both, or of each.
    windows: of the two: `((1, n), (n, 1))`, or twice `(3, 3)` for 5x5.
    is_linear: whether there is no rectifier between: with fewer features of the
      first, a convolution of low rank that trains from scratch (Tai).
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
      2016, arXiv 1512.00567, section 3.
    Szegedy et al., Inception-v4, 2017, arXiv 1602.07261.
    Tai et al., Convolutional Neural Networks with Low-rank Regularization,
      2016, arXiv 1511.06067: a norm between keeps the two from exploding.
  """

  features: int | tuple[int, int]
  windows: Sequence[tuple[int, int]] = ((1, 3), (3, 1))
  is_linear: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Maps, train: bool = False
  ) -> Num[Array, 'batch h w out']:
    """Computes `[batch, h, w, features]`."""
    given, names = self.features, ('first', 'last')
    sizes = (given, given) if isinstance(given, int) else given
    for name, n, window in zip(names, sizes, self.windows, strict=True):
      norm = f'{name}_norm'
      x = normed_conv(x, n, window, train, name, norm, dtype=self.dtype)
      if name == 'last' or not self.is_linear:
        x = nn.relu(x)
    return jnp.asarray(x)


def _layer(train, dtype):
  """A convolution and its norm, `{name}_norm`."""
  return lambda name, x, features, window, strides=1, groups=1: normed_conv(
    x,
    features,
    window,
    train,
    name,
    f'{name}_norm',
    strides=strides,
    groups=groups,
    dtype=dtype,
  )

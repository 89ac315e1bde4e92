"""The networks on which the papers on binarization report their results."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from jcompress.arithmetic.windows import Padding
from jcompress.models.binary_layers import (
  Activation,
  BinaryConv,
  BinaryDense,
  ShiftBatchNorm,
)
from jcompress.models.lenet import max_pool


class BinarizedNet(nn.Module):
  """Convolutions, then dense layers, with a batch norm after each.

  Each layer is `norm(pool(activation(x) * kernel))`, where only the last
  convolution of a block is pooled, and the first layer of all takes its input
  as it is. So a pool sees sums and not signs, and each sign the output of a
  norm: batch norm, sign, convolution, pool, the order of XNOR-Net, is the same
  sequence.

  The convolutions are `conv1`, `conv2`, ..., the dense layers `fc1`, ..., and
  the norms `norm1`, ..., counted through. The kernels are floats; a compressor
  binarizes those that `binary_kernels` matches:
  `select(model.binary_kernels, binary_connect())`.

  Attributes:
    blocks: channels of the convolutions of each block.
    features: units of the hidden dense layers.
    classes: number of outputs.
    activation: of the inputs of all layers but the first: `'relu'`, `'sign'`,
      `'stochastic_sign'`, `'scaled_sign'`, `'hwgq'`; see `BinaryDense`.
      With `'hwgq'` the hidden norms have no scale and offset, since its levels
      are made for a variance of one.
    float_layers: `'first'`, `'last'`, both or none: what is not binarized. The
      last layer then sees a ReLU instead of the activation.
    window: height and width of the kernels.
    padding: of the convolutions.
    norm: `'batch'`, or `'shift'`, a `ShiftBatchNorm`.
    output_norm: whether a norm follows the last layer, for a squared hinge
      loss; else it has a bias.
    shifts: see `BinaryDense`.
    momentum: of the running statistics: the weight of the old ones.
    epsilon: added to the variances.
    dtype: of the computation; the parameters are float32. Default: float32.
  """

  blocks: tuple[tuple[int, ...], ...] = ()
  features: tuple[int, ...] = ()
  classes: int = 10
  activation: Activation = 'sign'
  float_layers: tuple[str, ...] = ()
  window: tuple[int, int] = (3, 3)
  padding: Padding = 'SAME'
  norm: str = 'batch'
  output_norm: bool = True
  shifts: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-4
  dtype: Any = None

  @property
  def layers(self) -> tuple[str, ...]:
    """Names of all layers with a kernel, in order."""
    convs = sum(map(len, self.blocks))
    return (
      *(f'conv{i + 1}' for i in range(convs)),
      *(f'fc{i + 1}' for i in range(len(self.features) + 1)),
    )

  @property
  def binary_kernels(self) -> str:
    """Pattern of the kernels that are to be binarized.

    Both `select` and `scale_by_glorot` take it.

    Raises:
      ValueError: `float_layers` has another name, or leaves nothing.
    """
    self._require_float_layers()
    names = self.layers
    names = names[1:] if 'first' in self.float_layers else names
    names = names[:-1] if 'last' in self.float_layers else names
    if not names:
      raise ValueError(
        f'Of the layers {self.layers} none is left to be binarized; '
        f'{self.float_layers=}.'
      )
    return rf'(?:.*/)?(?:{"|".join(names)})/kernel'

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch ...'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes the outputs `[batch, classes]`.

    Args:
      x: images `[batch, height, width, channels]`; without blocks also rows.
      train: normalizes by the statistics of the batch; give
        `mutable=['batch_stats']`.

    Raises:
      ValueError: a setting that there is not.
    """
    self._require_float_layers()
    common = {'shifts': self.shifts, 'dtype': self.dtype}
    y, count = jnp.asarray(x, self.dtype), 0
    for block in self.blocks:
      for i, channels in enumerate(block):
        y = BinaryConv(
          channels,
          self.window,
          padding=self.padding,
          activation=self._activation(count),
          name=self.layers[count],
          **common,
        )(y, train)
        y = max_pool(y) if i == len(block) - 1 else y
        count += 1
        y = self._normalize(y, count, train)
    y = y.reshape(y.shape[0], -1)
    for units in (*self.features, self.classes):
      is_last = count == len(self.layers) - 1
      y = BinaryDense(
        units,
        activation=self._activation(count),
        use_bias=is_last and not self.output_norm,
        name=self.layers[count],
        **common,
      )(y, train)
      count += 1
      if not is_last or self.output_norm:
        y = self._normalize(y, count, train)
    return y

  def _require_float_layers(self):
    unknown = set(self.float_layers) - {'first', 'last'}
    if unknown:
      raise ValueError(
        f"float_layers has {sorted(unknown)}; it may have 'first' and 'last'."
      )

  def _activation(self, index):
    if index == 0:
      return 'none'
    is_last = index == len(self.layers) - 1
    is_float = is_last and 'last' in self.float_layers
    return 'relu' if is_float else self.activation

  def _normalize(self, x, index, train):
    name = f'norm{index}'
    hidden = index < len(self.layers)
    if self.norm == 'shift' and not (hidden and self.activation == 'hwgq'):
      return ShiftBatchNorm(self.momentum, self.epsilon, name=name)(x, train)
    if self.norm != 'batch':
      raise ValueError(
        f"norm is {self.norm!r}; it must be 'batch' or 'shift', and before "
        "'hwgq' it must be 'batch'."
      )
    affine = not (hidden and self.activation == 'hwgq')
    return nn.BatchNorm(
      not train,
      momentum=self.momentum,
      epsilon=self.epsilon,
      use_scale=affine,
      use_bias=affine,
      use_fast_variance=False,
      dtype=self.dtype,
      name=name,
    )(x)


class BinarizedMLP(BinarizedNet):
  """784-2048-2048-2048-10 for MNIST, as in loss-aware binarization.

  The networks of BinaryConnect and of binarized networks are
  `features=(1024,) * 3` and `(4096,) * 3`. LAB is `activation='relu'` and LAB2
  `'sign'`, both with `loss_aware_binarize`.

  References:
    Hou et al., Loss-aware Binarization of Deep Networks, 2017,
      arXiv 1611.01600.
    Courbariaux et al., BinaryConnect, 2015, arXiv 1511.00363.
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """

  features: tuple[int, ...] = (2048, 2048, 2048)


class BinarizedLeNet5(BinarizedNet):
  """The LeNet-5 of Caffe with batch norms, for MNIST, as HWGQ trains it.

  References:
    Cai et al., Half-wave Gaussian Quantization, 2017, arXiv 1702.00953.
  """

  blocks: tuple[tuple[int, ...], ...] = ((20,), (50,))
  features: tuple[int, ...] = (500,)
  window: tuple[int, int] = (5, 5)
  padding: Padding = 'VALID'


class BinarizedVGG(BinarizedNet):
  """(2x128C3)-MP2-(2x256C3)-MP2-(2x512C3)-MP2-(2x1024FC)-10, for CIFAR-10.

  For SVHN the papers halve the channels.

  References:
    Courbariaux et al., BinaryConnect, 2015, arXiv 1511.00363, section 3.3.
  """

  blocks: tuple[tuple[int, ...], ...] = ((128, 128), (256, 256), (512, 512))
  features: tuple[int, ...] = (1024, 1024)

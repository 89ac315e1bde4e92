"""Layers of binarized networks in Flax linen: an activation, then a product.

They binarize their inputs. Their kernels are binarized by the view of a
compressor, as those of any other layer.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Num

from jcompress.arithmetic.windows import Padding
from jcompress.binarize import binarized
from jcompress.binarize.few_multiplications import quantized_backprop
from jcompress.binarize.half_wave import hwgq
from jcompress.binarize.xnor import k_map
from jcompress.numerics import estimators

ACTIVATIONS = (
  'none',
  'relu',
  'sign',
  'stochastic_sign',
  'scaled_sign',
  'hwgq',
)
Activation = str | Callable[[jax.Array], jax.Array]
KERNEL_INIT = nn.initializers.glorot_uniform()


class BinaryDense(nn.Module):
  """`activation(x) @ kernel + bias`.

  Attributes:
    features: number of outputs.
    activation: of the input: `'none'`; `'relu'`; `'sign'`, with the gradient
      of a hard tanh; `'stochastic_sign'`, drawn with `train` and `'sign'`
      without; `'scaled_sign'`, the sign, and the outputs times the mean
      magnitude of the input, `beta` of XNOR-Net; `'hwgq'`, two bits; or a
      function of an array.
    use_bias: whether there is a bias.
    shifts: with `train`, the gradient of the kernel sees inputs rounded to
      powers of two, see `quantized_backprop`.
    dtype: of the computation; the parameters are float32. Default: float32.
    kernel_init: of the kernel `[in, features]`.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830,
      algorithm 1.
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
    Lin et al., Neural Networks with Few Multiplications, 2016,
      arXiv 1510.03009.
  """

  features: int
  activation: Activation = 'sign'
  use_bias: bool = False
  shifts: bool = False
  dtype: Any = None
  kernel_init: Callable[..., Any] = KERNEL_INIT

  @nn.compact
  def __call__(
    self, x: Num[Array, '*batch inputs'], train: bool = False
  ) -> Float[Array, '*batch outputs']:
    """Computes the outputs.

    Args:
      x: inputs, before the activation.
      train: with it, what is drawn takes the key `'binarize'` of `rngs`.

    Raises:
      ValueError: an activation that there is not.
    """
    shape = x.shape[-1], self.features
    y, x = _product(self, x, shape, jnp.matmul, train)
    if self.activation == 'scaled_sign':
      y *= jnp.mean(jnp.abs(x), -1, keepdims=True)
    return _add_bias(self, y)


class BinaryConv(nn.Module):
  """Convolution of `activation(x)` with a kernel, plus a bias.

  What is padded is zero after the activation. With `'scaled_sign'` the outputs
  are multiplied by `k_map(x)`.

  Attributes:
    features: number of channels out.
    window: height and width of the kernel.
    strides: of the window.
    padding: 'VALID', 'SAME', 'SAME_LOWER', or pairs: rows of zeros before and
      after, then columns.
    activation: see `BinaryDense`, as the other attributes.
    dilation: rows and columns from one position of the window to the next.
  """

  features: int
  window: tuple[int, int]
  strides: tuple[int, int] = (1, 1)
  padding: Padding = 'SAME'
  activation: Activation = 'sign'
  use_bias: bool = False
  shifts: bool = False
  dtype: Any = None
  kernel_init: Callable[..., Any] = KERNEL_INIT
  dilation: tuple[int, int] = (1, 1)

  @nn.compact
  def __call__(
    self, x: Num[Array, 'batch h w channels'], train: bool = False
  ) -> Float[Array, 'batch rows columns features']:
    """Computes the outputs; see `BinaryDense`."""
    shape = *self.window, x.shape[-1], self.features
    y, x = _product(self, x, shape, self._convolve, train)
    if self.activation == 'scaled_sign':
      y *= self._scales(x)
    return _add_bias(self, y)

  def _convolve(self, x, kernel):
    return jax.lax.conv_general_dilated(
      x,
      kernel,
      self.strides,
      self.padding,
      rhs_dilation=self.dilation,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  def _scales(self, x):
    if tuple(self.dilation) == (1, 1):
      return k_map(x, self.window, strides=self.strides, padding=self.padding)
    mean = jnp.full((*self.window, 1, 1), 1 / math.prod(self.window))
    each = k_map(x.astype(jnp.float32), (1, 1))
    return self._convolve(each, mean).astype(x.dtype)


def _product(layer, x, shape, op, train):
  """`op(activation(x), kernel)`, and `x` in the dtype of the computation."""
  kernel = layer.param('kernel', layer.kernel_init, shape)
  x, kernel = promote_dtype(x, kernel, dtype=layer.dtype)
  active = _activate(layer, x, train)
  if layer.shifts and train:
    shift = quantized_backprop(op)
    return shift(active, kernel, layer.make_rng('binarize')), x
  return op(active, kernel), x


def _activate(layer, x, train):
  name = layer.activation
  if callable(name):
    return name(x)
  if name == 'stochastic_sign' and train:
    return estimators.stochastic_sign(layer.make_rng('binarize'), x)
  functions = {
    'none': lambda x: x,
    'relu': nn.relu,
    'sign': estimators.sign,
    'stochastic_sign': estimators.sign,
    'scaled_sign': estimators.sign,
    'hwgq': hwgq,
  }
  if name not in functions:
    raise ValueError(
      f'activation is {name!r}; it must be one of {ACTIVATIONS}, or a function.'
    )
  return functions[name](x)


def _add_bias(layer, y):
  if not layer.use_bias:
    return y
  bias = layer.param('bias', nn.initializers.zeros, (layer.features,))
  return y + bias.astype(y.dtype)


class ShiftBatchNorm(nn.Module):
  """Batch norm whose products are shifts, see `shift_batch_norm`.

  Its parameters are `scale` and `bias`, its statistics `mean` and
  `inverse_std`, in the collection `batch_stats`.

  Attributes:
    momentum: of the running statistics, as in `nn.BatchNorm`: the weight of
      the old ones.
    epsilon: added to the variance.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """

  momentum: float = 0.875
  epsilon: float = 1e-5

  @nn.compact
  def __call__(
    self, x: Float[Array, '*batch channels'], train: bool = False
  ) -> Float[Array, '*batch channels']:
    """Normalizes by the batch with `train`, else by the running statistics."""
    shape = (x.shape[-1],)
    scale = self.param('scale', nn.initializers.ones, shape)
    offset = self.param('bias', nn.initializers.zeros, shape)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
    inverse = self.variable('batch_stats', 'inverse_std', jnp.ones, shape)
    y, stats = binarized.shift_batch_norm(
      x,
      scale,
      offset,
      binarized.ShiftNormStats(mean.value, inverse.value),
      train=train,
      momentum=1 - self.momentum,
      eps=self.epsilon,
    )
    if train and not self.is_initializing():
      mean.value, inverse.value = stats
    return y

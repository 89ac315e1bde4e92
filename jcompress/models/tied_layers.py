"""Convolutions whose filters are transforms of a few, and their norm.

Outputs are ordered as by `tie`: `copy * features + feature`.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Num

from jcompress.numerics import orbits
from jcompress.numerics.channel_order import group_pool


class GroupConv(nn.Module):
  """A convolution that turns, and mirrors, with the image.

  Turning the image turns the outputs, and moves them from each copy to the
  next: `ops.group_pool` over the copies, at the end, makes them invariant. This
  is exact, up to rounding, at stride 1 and behind poolings that cover evenly;
  with strides where sizes are odd.

  Attributes:
    features: filters of the base; the outputs are 4 or 8 times as many.
    group: `'p4'`, turns by quarters, or `'p4m'`, mirror images too.
    inputs: whether the inputs are the outputs of such a layer, and no images.
    window: rows and columns of the kernel.
    strides: of the window.
    padding: `'SAME'` or `'VALID'`.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Cohen and Welling, Group Equivariant Convolutional Networks, 2016, arXiv
      1602.07576.
  """

  features: int
  group: str = 'p4'
  inputs: bool = False
  window: int = 3
  strides: int = 1
  padding: str = 'SAME'
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w c']
  ) -> Num[Array, 'batch h2 w2 maps']:
    """Computes the maps of all copies.

    Raises:
      ValueError: another group; inputs that are no copies, and should be.
    """
    if self.group not in orbits.GROUPS:
      raise ValueError(
        f'group is {self.group!r}; it must be one of {list(orbits.GROUPS)}.'
      )
    copies = orbits.GROUPS[self.group]
    return _convolve(self, x, self.group, copies, self.strides, self.inputs)


class DoubleConv(nn.Module):
  """A convolution by all windows of larger filters.

  Attributes:
    features: larger filters.
    meta: rows and columns of them, `>= window`; each has
      `n = (meta - window + 1)^2` windows.
    pool: takes the maximum over the windows of each: `features` outputs.
      Otherwise they are `n` times as many.
    window: rows and columns of the windows.
    padding: `'SAME'` or `'VALID'`.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Zhai et al., Doubly Convolutional Neural Networks, 2016, arXiv 1610.09716.
  """

  features: int
  meta: int = 4
  pool: bool = False
  window: int = 3
  padding: str = 'SAME'
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w c']
  ) -> Num[Array, 'batch h2 w2 maps']:
    """Computes the maps.

    Raises:
      ValueError: the larger filters are smaller than the windows.
    """
    if self.meta < self.window:
      raise ValueError(
        f'meta is {self.meta}; it must be at least the window, {self.window}.'
      )
    copies = (self.meta - self.window + 1) ** 2
    larger = self.meta - self.window
    y = _convolve(self, x, 'translation', copies, larger=larger)
    return group_pool(y, copies) if self.pool else y


class OrbitNorm(nn.BatchNorm):
  """Batch normalization with one scale, bias, mean and variance for all copies.

  One for each copy would differ after the first step, and no turn of the image
  would be a turn of the outputs any more.

  Attributes:
    copies: of each filter, 4 of `'p4'`, 8 of `'p4m'`.
  """

  copies: int = 4

  @nn.compact
  def __call__(self, x, use_running_average=None, **options):
    """Normalizes `[..., copies * features]`; see `nn.BatchNorm`."""
    parts = jnp.reshape(x, (*x.shape[:-1], self.copies, -1))
    y = super().__call__(parts, use_running_average, **options)
    return y.reshape(x.shape)


def _convolve(module, x, kind, copies, strides=1, inputs=False, larger=0):
  """The maps of all copies of the filters of a base, which is a param."""
  n_in, window, features = x.shape[-1], module.window, module.features
  size = window + larger
  # The variance is that of filters with the inputs of one window.
  start = nn.initializers.variance_scaling(
    2.0 * size**2 / window**2, 'fan_in', 'normal'
  )
  base = module.param('kernel', start, (size, size, n_in, features))
  shape = (window, window, n_in, copies * features)
  kernel = orbits.expand(base, kind, shape, inputs)
  x, kernel = promote_dtype(x, kernel, dtype=module.dtype)
  return lax.conv_general_dilated(
    x,
    kernel,
    (strides, strides),
    module.padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )

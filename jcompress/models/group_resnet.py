"""Residual networks that turn, and mirror, with the image."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from jcompress.models.parts import HE
from jcompress.models.tied_layers import GroupConv, OrbitNorm
from jcompress.numerics.channel_order import group_pool
from jcompress.numerics.orbits import GROUPS


class GroupResNet(nn.Module):
  """`ResNet` of `GroupConv` and `OrbitNorm`, with projections for shortcuts.

  The layers are named as those of `ResNet`: `conv{i}` with `norm{i}`, and
  `shortcut{i}`, 1x1, with `shortcut_norm{i}` where a stage begins, and `fc`.
  Stages begin with means of 2x2 windows in place of strides, so that sizes
  need not be odd; the maxima over the copies of the means of all places go
  into `fc`: the logits are those of the turned image, too.

  At equal parameters the filters of a stage are those of a plain network
  divided by 2 (`'p4'`) or by the root of 8 (`'p4m'`). Of depth 44, `'p4m'` and
  11, 23 and 45 filters it has 2,618,679 parameters for 3 channels.

  Attributes:
    depth: number of layers but for shortcuts, `6 n + 2`.
    group: `'p4'` or `'p4m'`.
    features: filters of each stage; each has 4 or 8 maps.
    classes: number of logits.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Cohen and Welling, Group Equivariant Convolutional Networks, 2016, arXiv
      1602.07576, section 8.2.
    He et al., Deep Residual Learning for Image Recognition, 2016, arXiv
      1512.03385, section 4.2.
  """

  depth: int = 20
  group: str = 'p4'
  features: Sequence[int] = (8, 16, 32)
  classes: int = 10
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: square images whose size is a multiple of 2 for each stage but one.
      train: normalizes by the batch and updates `batch_stats`.

    Raises:
      ValueError: no such depth, group or size.
    """
    blocks, rest = divmod(self.depth - 2, 6)
    if rest or blocks < 1:
      raise ValueError(
        f'depth is {self.depth}; it must be 6 n + 2, such as 20, 26 or 44.'
      )
    each = 2 ** (len(self.features) - 1)
    if x.shape[1] != x.shape[2] or x.shape[1] % each:
      raise ValueError(
        f'Images of {x.shape[1]}x{x.shape[2]}; they must be square, of a '
        f'multiple of {each}.'
      )

    def conv(i, y, features, name='conv', norm='norm', window=3):
      layer = GroupConv(
        features,
        self.group,
        inputs=i > 1,
        window=window,
        dtype=self.dtype,
        name=f'{name}{i}',
      )
      y = layer(y)
      normed = OrbitNorm(
        not train,
        momentum=0.9,
        dtype=self.dtype,
        copies=GROUPS[self.group],
        name=f'{norm}{i}',
      )
      return normed(y)

    y, i = nn.relu(conv(1, jnp.asarray(x), self.features[0])), 2
    for stage, features in enumerate(self.features):
      for block in range(blocks):
        begins = stage > 0 and block == 0
        y = nn.avg_pool(y, (2, 2), (2, 2)) if begins else y
        z = conv(i + 1, nn.relu(conv(i, y, features)), features)
        if begins:
          y = conv(i, y, features, 'shortcut', 'shortcut_norm', 1)
        y, i = nn.relu(y + z), i + 2
    y = group_pool(y.mean((1, 2)), GROUPS[self.group])
    fc = nn.Dense(self.classes, dtype=self.dtype, kernel_init=HE, name='fc')
    return fc(y)

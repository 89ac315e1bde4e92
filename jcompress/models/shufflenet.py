"""ShuffleNet: grouped 1x1 convolutions whose channels are shuffled."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from jcompress.models.blocks import ShuffleUnit
from jcompress.models.parts import HE, normed_conv


class ShuffleNet(nn.Module):
  """A 3x3 convolution, then stages of `ShuffleUnit`, the first with strides.

  The layers are `conv` with `norm`, `unit1`, `unit2` and so on, whose
  bottlenecks are a fourth of their outputs, and `fc`. The first 1x1 convolution
  of all is not grouped.

  Attributes:
    classes: number of logits.
    stem: channels of the first convolution.
    stages: channels and units of each stage; the default is that of the paper
      for 3 groups.
    groups: of the 1x1 convolutions.
    stem_strides: of the first convolution; from 2 on maxima of 3x3 windows at
      stride 2 follow, as for images of 224x224.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Zhang et al., ShuffleNet, 2018, arXiv 1707.01083, table 1.
  """

  classes: int = 1000
  stem: int = 24
  stages: Sequence[tuple[int, int]] = ((240, 4), (480, 8), (960, 4))
  groups: int = 3
  stem_strides: int = 2
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images.
      train: normalizes by the batch and updates `batch_stats`.

    Raises:
      ValueError: channels that the groups do not divide.
    """
    steps = self.stem_strides
    x = normed_conv(
      x, self.stem, 3, train, 'conv', 'norm', strides=steps, dtype=self.dtype
    )
    x, number = nn.relu(x), 0
    if steps > 1:
      x = nn.max_pool(x, (3, 3), (2, 2), 'SAME')
    for channels, units in self.stages:
      for i in range(units):
        number += 1
        unit = ShuffleUnit(
          channels,
          channels // 4,
          self.groups,
          strides=1 if i else 2,
          is_first=number == 1,
          dtype=self.dtype,
          name=f'unit{number}',
        )
        x = unit(x, train)
    x = jnp.asarray(x).mean((1, 2))
    fc = nn.Dense(self.classes, dtype=self.dtype, kernel_init=HE, name='fc')
    return fc(x)

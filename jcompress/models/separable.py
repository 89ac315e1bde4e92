"""A small network of depthwise separable convolutions."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Num

from jcompress.models.parts import (
  HE,
  ByWidths,
  Widths,
  normed_conv,
  widths_of,
)


class SeparableNet(ByWidths):
  """A 3x3 convolution, then blocks that filter each channel by itself.

  Block `i` is `depthwise{i}`, one 3x3 filter a channel, and `pointwise{i}`, a
  1x1 convolution that mixes the channels: of `I` inputs and `O` outputs
  `9 I + I O` weights in place of `9 I O`. Each layer is without bias and is
  followed by a norm, `depthwise_norm{i}` or `pointwise_norm{i}`, and a
  rectifier. The first convolution is `conv` with `norm`, the last layer `fc`.

  Attributes:
    classes: number of logits.
    stem: channels of the first convolution.
    blocks: channels and stride of each block.
    widths: of layers that are not as wide as these say, by name, such as what
      `channel_widths` returns. Depthwise layers are as wide as their inputs.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Howard et al., MobileNets, 2017, arXiv 1704.04861, section 3.
  """

  classes: int = 10
  stem: int = 32
  blocks: Sequence[tuple[int, int]] = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
  )
  widths: Widths = FrozenDict()
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
      ValueError: a depthwise layer would not be as wide as its input; see
        `widths_of`.
    """
    wide = [self.stem, *(width for width, _ in self.blocks)]
    own = {'conv': self.stem, 'fc': self.classes}
    for i, (before, after) in enumerate(zip(wide, wide[1:], strict=False), 1):
      own |= {f'depthwise{i}': before, f'pointwise{i}': after}
    # What is given for a layer also is the width of the filters that follow.
    given = dict(self.widths)
    for i in range(1, len(wide)):
      source = 'conv' if i == 1 else f'pointwise{i - 1}'
      if source in given:
        given.setdefault(f'depthwise{i}', given[source])
    sizes = widths_of(own, given)

    def layer(name, norm, x, window, stride=1, groups=1):
      y = normed_conv(
        x,
        sizes[name],
        window,
        train,
        name,
        norm,
        strides=stride,
        groups=groups,
        dtype=self.dtype,
      )
      return nn.relu(y)

    x = layer('conv', 'norm', x, 3)
    for i, (_, stride) in enumerate(self.blocks, 1):
      name, channels = f'depthwise{i}', x.shape[-1]
      if sizes[name] != channels:
        raise ValueError(
          f'{name} is {sizes[name]} wide and has {channels} inputs; give it '
          'the same width, or leave it out of widths.'
        )
      x = layer(name, f'depthwise_norm{i}', x, 3, stride, channels)
      x = layer(f'pointwise{i}', f'pointwise_norm{i}', x, 1)
    x = x.mean((1, 2))
    return nn.Dense(sizes['fc'], dtype=self.dtype, kernel_init=HE, name='fc')(x)

"""SqueezeNet: fire modules, and no dense layer."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Num

from jcompress.models.blocks import Fire
from jcompress.models.parts import HE, ByWidths, Widths, widths_of

SQUEEZE = 16, 16, 32, 32, 48, 48, 64, 64  # of fire2 to fire9
POOLED = 4, 8


class SqueezeNet(ByWidths):
  """A 7x7 convolution, eight fire modules, a 1x1 convolution to the classes.

  The layers are `conv1`, `fire2` to `fire9`, each of `squeeze`, `expand1` and
  `expand3` with four times the maps of `squeeze`, and `conv10`, of whose
  rectified maps the means are the logits. Maxima of 3x3 windows at stride 2
  after `conv1`, `fire4` and `fire8`; half of the maps of `fire9` drop out in
  training. For 3 channels and 1000 classes 1,248,424 parameters, a 49th of the
  60,965,224 of AlexNet.

  Attributes:
    classes: number of logits.
    dropout: rate behind `fire9`.
    widths: of layers that are not of the paper's width, by name, such as
      `{'fire2/squeeze': 8}` or what `channel_widths` returns.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Iandola et al., SqueezeNet, 2016, arXiv 1602.07360, table 1: version 1.0.
  """

  classes: int = 1000
  dropout: float = 0.5
  widths: Widths = FrozenDict()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images.
      train: drops maps out; needs the key `'dropout'`.

    Raises:
      ValueError: see `widths_of`.
    """
    paper = {'conv1': 96, 'conv10': self.classes}
    for i, s in enumerate(SQUEEZE, 2):
      names = [f'fire{i}/{part}' for part in ('squeeze', 'expand1', 'expand3')]
      paper |= dict(zip(names, (s, 4 * s, 4 * s), strict=True))
    sizes = widths_of(paper, self.widths)

    def conv(name, window, strides, x):
      layer = nn.Conv(
        sizes[name],
        (window, window),
        strides,
        dtype=self.dtype,
        kernel_init=HE,
        name=name,
      )
      return nn.relu(layer(x))

    pool = lambda x: nn.max_pool(x, (3, 3), (2, 2), 'SAME')
    x = pool(conv('conv1', 7, 2, jnp.asarray(x)))
    for i in range(2, 10):
      parts = (f'fire{i}/{p}' for p in ('squeeze', 'expand1', 'expand3'))
      s, one, three = (sizes[part] for part in parts)
      x = Fire(s, one, three, self.dtype, name=f'fire{i}')(x)
      if i in POOLED:
        x = pool(x)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return conv('conv10', 1, 1, x).mean((1, 2))

"""Residual networks for images of 32x32."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Num

from jcompress.models.parts import HE, ByWidths, Widths, widths_of


class ResNet(ByWidths):
  """A residual network of three stages of 16, 32 and 64 channels.

  With `F` a convolution, a norm, a rectifier, a convolution and a norm, each of
  the `(depth - 2) / 2` blocks is

      x = relu(F(x) + shortcut(x)).

  The layers are numbered in the order of the computation: `conv1` comes first,
  blocks begin at even numbers, `conv{i}` is followed by `norm{i}`, and `fc` is
  the last. Where a stage begins, the shortcut takes every second row and
  column and adds channels of zeros (the paper's option A), or it is a 1x1
  convolution `shortcut{i}` and a `shortcut_norm{i}` with the number of the
  first convolution of the block (B).

  For 32x32x3 images and 10 classes 56 layers of option A have 848,954 weights,
  biases of `fc` included, and 125,485,696 multiply-accumulates; 110 layers
  1,719,866 and 252,887,680.

  Attributes:
    depth: number of layers but for shortcuts, `6 n + 2`.
    classes: number of logits.
    projection: whether shortcuts are of option B.
    widths: of layers that are not of the paper's width, by name, such as
      `{'conv2': 8}` or what `channel_widths` returns.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    He et al., Deep Residual Learning for Image Recognition, 2016, arXiv
      1512.03385, section 4.2.
  """

  depth: int = 20
  classes: int = 10
  projection: bool = False
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
      ValueError: no such depth; see `widths_of`.
    """
    blocks, rest = divmod(self.depth - 2, 6)
    if rest or blocks < 1:
      raise ValueError(
        f'depth is {self.depth}; it must be 6 n + 2, such as 20, 56 or 110.'
      )
    starts = 2 * blocks + 2, 4 * blocks + 2
    paper = {
      f'conv{i}': 16 << sum(i >= start for start in starts)
      for i in range(1, self.depth)
    }
    if self.projection:
      paper |= {f'shortcut{i}': paper[f'conv{i}'] for i in starts}
    sizes = widths_of(paper | {'fc': self.classes}, self.widths)
    norm = lambda name: nn.BatchNorm(
      not train, momentum=0.9, dtype=self.dtype, name=name
    )

    def conv(i, x, stride=1, name='conv', norm_name='norm', window=3):
      layer = nn.Conv(
        sizes[f'{name}{i}'],
        (window, window),
        stride,
        window // 2,
        use_bias=False,
        dtype=self.dtype,
        kernel_init=HE,
        name=f'{name}{i}',
      )
      return norm(f'{norm_name}{i}')(layer(x))

    x = nn.relu(conv(1, x))
    for i in range(2, self.depth, 2):
      stride = 2 if i in starts else 1
      y = conv(i + 1, nn.relu(conv(i, x, stride)))
      if i in starts and self.projection:
        x = conv(i, x, stride, 'shortcut', 'shortcut_norm', window=1)
      elif i in starts:
        x = _with_zeros(x[:, ::2, ::2], y.shape[-1])
      x = nn.relu(x + y)
    x = x.mean((1, 2))
    return nn.Dense(sizes['fc'], dtype=self.dtype, kernel_init=HE, name='fc')(x)


def _with_zeros(x, channels):
  # Zeros come last, so that widths alone say where, also after pruning.
  return jnp.pad(x, ((0, 0),) * 3 + ((0, channels - x.shape[-1]),))

"""VGG-16 for images of 32x32, on which filter pruning reports its results."""

from typing import Any

import flax.linen as nn
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Num

from jcompress.models.lenet import max_pool
from jcompress.models.parts import HE, ByWidths, Widths, widths_of

WIDTHS = 64, 64, 128, 128, 256, 256, 256, *[512] * 6  # of conv1 to conv13
POOLED = 2, 4, 7, 10, 13


class VGG16(ByWidths):
  """Thirteen 3x3 convolutions and two dense layers, each batch-normalized.

  The layers are `conv1` to `conv13`, without bias, each with a `norm` of its
  number and a rectifier; maxima of 2x2 windows after convolutions 2, 4, 7, 10
  and 13; `fc1` and `norm14`, as wide as the last convolution of the paper;
  and `fc2`. For 32x32x3 images and 10 classes 14,977,728 weights and
  313,463,808 multiply-accumulates.

  Attributes:
    classes: number of logits.
    widths: of layers that are not of the paper's width, by name, such as
      `{'conv1': 32}` or what `channel_widths` returns.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Simonyan and Zisserman, Very Deep Convolutional Networks, 2015, arXiv
      1409.1556, table 1, column D.
    Zagoruyko, 92.45% on CIFAR-10 in Torch, 2015: this form for small images.
    Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710,
      section 4.1.
  """

  classes: int = 10
  widths: Widths = FrozenDict()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images of at least 32x32.
      train: normalizes by the batch and updates `batch_stats`.

    Raises:
      ValueError: the images are smaller; see `widths_of`.
    """
    if min(x.shape[1:3]) < 32:
      raise ValueError(
        f'Images of {x.shape[1]}x{x.shape[2]} vanish in five poolings; give '
        'at least 32x32.'
      )
    paper = {f'conv{i + 1}': width for i, width in enumerate(WIDTHS)}
    sizes = widths_of(paper | {'fc1': 512, 'fc2': self.classes}, self.widths)
    norm = lambda i: nn.BatchNorm(
      not train, momentum=0.9, dtype=self.dtype, name=f'norm{i}'
    )
    dense = lambda name, **options: nn.Dense(
      sizes[name], dtype=self.dtype, kernel_init=HE, name=name, **options
    )
    for i in range(1, 14):
      conv = nn.Conv(
        sizes[f'conv{i}'],
        (3, 3),
        use_bias=False,
        dtype=self.dtype,
        kernel_init=HE,
        name=f'conv{i}',
      )
      x = nn.relu(norm(i)(conv(x)))
      if i in POOLED:
        x = max_pool(x)
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(norm(14)(dense('fc1', use_bias=False)(x)))
    return dense('fc2')(x)

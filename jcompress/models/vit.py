"""A small vision transformer: classes of images from states of patches."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Float, Num

from jcompress.models.parts import ByWidths, Widths, widths_of

GLOROT = nn.initializers.xavier_uniform()


class ViT(ByWidths):
  """A transformer encoder of patches that normalizes before each map.

  With `N` a layer norm and `W` linear maps, each layer is

      y = x + W_out softmax(Q K^T / sqrt(width / heads)) V,  Q, K, V of N(x),
      x = y + W_down gelu(W_up N(y)),

  and the logits are `fc` of the mean of `N(x)` over patches. Layer `i` has the
  kernels `layer_{i}/{query,key,value}/kernel` `[width, heads, size]`,
  `layer_{i}/out/kernel` `[heads, size, width]`, `up` and `down`. Whole heads,
  their dims and hidden units can be removed; `width` cannot, since norms are
  means over it.

  Attributes:
    classes: number of logits.
    layers: number of layers.
    heads: of the attention; divides `width`.
    width: of the states.
    hidden: units between the last two maps of a layer.
    patch: side of the patches, in pixels; divides those of the images.
    widths: of layers that are not as wide as these say, by path, such as what
      `channel_widths` returns: `(heads, size)` of queries, keys and values.
      Scores are divided by `sqrt(width / heads)` whatever is left of a head.
    dtype: of the computation; the parameters are float32. Default: float32.
      Attention weights are found in float32.

  References:
    Dosovitskiy et al., An Image Is Worth 16x16 Words, 2021, arXiv 2010.11929,
      eqs. 1-4.
    Beyer et al., Better Plain ViT Baselines for ImageNet-1k, 2022, arXiv
      2205.01580: the mean in place of a token for the class.
    Glorot and Bengio, Understanding the Difficulty of Training Deep
      Feedforward Neural Networks, 2010: how maps are drawn.
  """

  classes: int = 10
  layers: int = 6
  heads: int = 4
  width: int = 128
  hidden: int = 256
  patch: int = 4
  widths: Widths = FrozenDict()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels']
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images, of one size.

    Raises:
      ValueError: `heads` does not divide `width`, or `patch` the sides of the
        images; see `widths_of`.
    """
    if self.width % self.heads:
      raise ValueError(
        f'width {self.width} is no multiple of heads {self.heads}; each head '
        'takes an equal part of it.'
      )
    if any(side % self.patch for side in x.shape[1:3]):
      raise ValueError(
        f'Images of {x.shape[1]}x{x.shape[2]} are not whole patches of '
        f'{self.patch}x{self.patch}; cut or pad them.'
      )
    size = self.width // self.heads
    layer: dict[str, Any] = {
      **dict.fromkeys(('query', 'key', 'value'), (self.heads, size)),
      **dict.fromkeys(('out', 'down'), self.width),
      'up': self.hidden,
    }
    own: dict[str, Any] = {'patches': self.width, 'fc': self.classes}
    for i in range(self.layers):
      own |= {f'layer_{i}/{name}': sizes for name, sizes in layer.items()}
    sizes = widths_of(own, self.widths)
    patches = nn.Conv(
      sizes['patches'],
      (self.patch, self.patch),
      self.patch,
      padding='VALID',
      dtype=self.dtype,
      name='patches',
    )
    x = patches(x)
    x = x.reshape(x.shape[0], -1, x.shape[-1])
    draw = nn.initializers.normal(0.02)
    x += self.param('positions', draw, x.shape[1:]).astype(x.dtype)
    for i in range(self.layers):
      within = {name: sizes[f'layer_{i}/{name}'] for name in layer}
      x = Layer(within, size**-0.5, self.dtype, name=f'layer_{i}')(x)
    x = nn.LayerNorm(dtype=self.dtype, name='norm')(x).mean(1)
    return nn.Dense(sizes['fc'], dtype=self.dtype, name='fc')(x)


class Layer(nn.Module):
  """One layer of `ViT`.

  Attributes:
    sizes: of the outputs of its six maps.
    scale: of the scores of the attention.
    dtype: of the computation.
  """

  sizes: Mapping[str, Any]
  scale: float
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, 'batch tokens width']
  ) -> Float[Array, 'batch tokens width']:
    linear = lambda name, axes=-1: nn.DenseGeneral(
      self.sizes[name], axes, dtype=self.dtype, kernel_init=GLOROT, name=name
    )
    norm = lambda name: nn.LayerNorm(dtype=self.dtype, name=name)
    normed = norm('attention_norm')(x)
    query, key, value = (linear(n)(normed) for n in ('query', 'key', 'value'))
    scores = jnp.einsum('bqhd,bkhd->bhqk', query, key).astype(jnp.float32)
    share = jax.nn.softmax(scores * self.scale).astype(value.dtype)
    mixed = jnp.einsum('bhqk,bkhd->bqhd', share, value)
    x += linear('out', (-2, -1))(mixed)
    return x + linear('down')(nn.gelu(linear('up')(norm('norm')(x))))

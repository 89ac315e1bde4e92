"""One small network of 3x3 convolutions, in each form of compact filters."""

import types
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Num

from jcompress.models.blocks import FactorizedConv, Fire
from jcompress.models.lenet import max_pool
from jcompress.models.parts import HE, ByWidths, Widths, widths_of
from jcompress.models.tied_layers import DoubleConv, GroupConv, OrbitNorm
from jcompress.numerics.channel_order import group_pool
from jcompress.numerics.cyclic import cyclic_pool, cyclic_roll, cyclic_slice
from jcompress.numerics.orbits import GROUPS
from jcompress.numerics.shared_filters import crelu, multi_bias

# Maps of each filter.
COPIES = types.MappingProxyType(
  {
    'plain': 1,
    'negation': 2,
    'crelu': 2,
    'mba': 2,
    'dcnn': 4,
    'cyclic': 4,
    'p4': 4,
    'p4m': 8,
    'fire': 1,
    'factorized': 1,
    'low_rank': 2,
  }
)
# Options of their `FactorizedConv`.
FACTORED: Mapping[str, dict[str, Any]] = types.MappingProxyType(
  {
    'factorized': {},
    'low_rank': {'windows': ((3, 1), (1, 3)), 'is_linear': True},
  }
)


class CompactVGG(ByWidths):
  """Six 3x3 convolutions, each with a norm and a rectifier, and a dense layer.

  The layers are `conv1` to `conv6`, without bias, each with a `norm` of its
  number; maxima of 2x2 windows after the second and the fourth, which are exact
  turns for images of 28x28; the mean over all places; and `fc`. Whatever the
  kind, each layer has as many maps as `maps` says, so that a filter costs what
  its copies would; it has `maps / copies` filters:

  * `'plain'`: one map each.
  * `'negation'`: the map and its opposite, normed apart.
  * `'crelu'`: normed, then `ops.crelu`.
  * `'mba'`: normed, then two biases each by `ops.multi_bias`, `multi_bias1`
    and so on; they start at -1 and 1.
  * `'dcnn'`: the four windows of 4x4 filters, `DoubleConv`.
  * `'cyclic'`: four orientations of the images, `ops.cyclic_roll` between.
  * `'p4'`, `'p4m'`: `GroupConv` and `OrbitNorm`. These and `'cyclic'` pool over
    the copies at the end: the logits are those of the turned image, too.
  * `'fire'`: behind the first layer, a `Fire` of `maps / 8`, half and half of
    its outputs by 1x1 and 3x3, and no norm.
  * `'factorized'`: behind the first layer, 1x3 and 3x1, `FactorizedConv`.
  * `'low_rank'`: behind the first layer, 3x1 to half as many maps, a norm, and
    1x3, `FactorizedConv` without a rectifier between.

  Attributes:
    kind: see above.
    classes: number of logits.
    maps: of each convolution.
    widths: filters of layers that have not as many as that makes, by name, such
      as `{'conv1': 8}` or what `channel_widths` returns.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Cheng et al., A Survey of Model Compression and Acceleration for Deep Neural
      Networks, 2017, arXiv 1710.09282, section IV: what these are compared in,
      with VGG-16 on CIFAR.
  """

  kind: str = 'plain'
  classes: int = 10
  maps: Sequence[int] = (16, 16, 32, 32, 64, 64)
  widths: Widths = FrozenDict()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images; square ones where they are turned.
      train: normalizes by the batch and updates `batch_stats`.

    Raises:
      ValueError: another kind; maps that are no multiple of the copies; see
        `widths_of`.
    """
    sizes = widths_of(self._paper(), self.widths)
    y = jnp.asarray(x)
    if self.kind == 'cyclic':
      y = cyclic_slice(y)
    for i in range(1, len(self.maps) + 1):
      y = self._layer(i, y, sizes, train)
      if i in (2, 4):
        y = max_pool(y)
    y = y.mean((1, 2), keepdims=True)
    if self.kind == 'cyclic':
      y = cyclic_pool(y, 'max')
    if self.kind in GROUPS:
      y = group_pool(y, GROUPS[self.kind])
    dense = nn.Dense(sizes['fc'], dtype=self.dtype, kernel_init=HE, name='fc')
    return dense(y[:, 0, 0])

  def _paper(self):
    """The sizes of all layers by name."""
    if self.kind not in COPIES:
      raise ValueError(
        f'kind is {self.kind!r}; it must be one of {", ".join(COPIES)}.'
      )
    each = 8 if self.kind == 'fire' else COPIES[self.kind]
    if any(n % each for n in self.maps):
      raise ValueError(
        f'maps are {tuple(self.maps)}; of the kind {self.kind!r} they must be '
        f'multiples of {each}.'
      )
    found = {}
    for i, n in enumerate(self.maps, 1):
      name = f'conv{i}'
      if self.kind == 'fire' and i > 1:
        parts = {'squeeze': n // 8, 'expand1': n // 2, 'expand3': n // 2}
        found |= {f'{name}/{part}': size for part, size in parts.items()}
      elif self.kind in FACTORED and i > 1:
        first = n // COPIES[self.kind]
        found |= {f'{name}/first': first, f'{name}/last': n}
      elif self.kind == 'low_rank':
        found[name] = n
      else:
        found[name] = n // COPIES[self.kind]
    return found | {'fc': self.classes}

  def _layer(self, i, x, sizes, train):
    """One convolution with its norm and activation."""
    name, kind = f'conv{i}', self.kind
    own = {'dtype': self.dtype, 'name': name}
    if kind == 'fire' and i > 1:
      parts = [sizes[f'{name}/{p}'] for p in ('squeeze', 'expand1', 'expand3')]
      return Fire(*parts, **own)(x)
    if kind in FACTORED and i > 1:
      features = sizes[f'{name}/first'], sizes[f'{name}/last']
      block = FactorizedConv(features, **FACTORED[kind], **own)
      return block(x, train)
    features = sizes[name]
    norm = lambda cls=nn.BatchNorm, **options: cls(
      not train, momentum=0.9, dtype=self.dtype, name=f'norm{i}', **options
    )
    if kind in GROUPS:
      x = GroupConv(features, kind, inputs=i > 1, **own)(x)
      return nn.relu(norm(OrbitNorm, copies=GROUPS[kind])(x))
    if kind == 'dcnn':
      return nn.relu(norm()(DoubleConv(features, **own)(x)))
    if kind == 'cyclic' and i > 1:
      x = cyclic_roll(x)
    x = nn.Conv(features, (3, 3), use_bias=False, kernel_init=HE, **own)(x)
    if kind == 'negation':
      return nn.relu(norm()(jnp.concatenate([x, -x], -1)))
    x = norm()(x)
    if kind == 'crelu':
      return crelu(x)
    if kind == 'mba':
      layer = MultiBias(COPIES['mba'], name=f'multi_bias{i}')
      return layer(x)
    return nn.relu(x)


class MultiBias(nn.Module):
  """Several rectified maps of each response, see `ops.multi_bias`.

  Attributes:
    number: of biases, which start evenly over -1 .. 1: a deviation of a normed
      response to each side.
  """

  number: int

  @nn.compact
  def __call__(self, x: Num[Array, '... c']) -> Num[Array, '... maps']:
    """Computes `[..., channels * number]`."""
    spread = jnp.linspace(-1.0, 1.0, self.number)
    start = lambda key, shape: jnp.broadcast_to(spread, shape)
    biases = self.param('biases', start, (x.shape[-1], self.number))
    return multi_bias(x, biases)

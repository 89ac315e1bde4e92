"""What the bundled networks have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from flax.core import FrozenDict

from jcompress.channels.removal import Width

Widths = Mapping[str, Width | Sequence[int] | int]

# He et al. 2015, arXiv 1502.01852, eq. 10: a variance of 2 / fan_in.
HE = nn.initializers.variance_scaling(2.0, 'fan_in', 'normal')


class ByWidths(nn.Module):
  """A network with a field `widths`, which it keeps so that jit can hash it."""

  def __post_init__(self):
    self.widths = FrozenDict(self.widths)
    super().__post_init__()


def normed_conv(
  x: Any,
  features: int,
  window: int | Sequence[int],
  train: bool,
  name: str,
  norm: str,
  *,
  strides: int = 1,
  groups: int = 1,
  dtype: Any = None,
) -> jax.Array:
  """A convolution without bias and a batch norm, inside a compact method.

  Args:
    x: maps.
    features: outputs.
    window: rows and columns of the kernel, or one number for both.
    train: normalizes by the batch and updates `batch_stats`.
    name: of the convolution.
    norm: name of the norm.
    strides: of the window.
    groups: of the convolution.
    dtype: of the computation.
  """
  conv = nn.Conv(
    features,
    (window, window) if isinstance(window, int) else window,
    strides,
    feature_group_count=groups,
    use_bias=False,
    dtype=dtype,
    kernel_init=HE,
    name=name,
  )
  normed = nn.BatchNorm(not train, momentum=0.9, dtype=dtype, name=norm)
  return normed(conv(x))


def widths_of(paper: Widths, given: Widths) -> dict[str, Any]:
  """The output sizes of each layer: those given, else those of the paper.

  >>> widths_of({'conv1': 64, 'query': (4, 8)}, {'conv1': 32})
  {'conv1': 32, 'query': (4, 8)}

  Args:
    paper: a size, or one for each output axis, of all layers by name.
    given: the same of some, such as all of `channel_widths`.

  Raises:
    ValueError: there is no layer of a name; a layer has another number of
      output axes.
  """
  unknown = [name for name in given if name not in paper]
  if unknown:
    raise ValueError(
      f'widths names {", ".join(unknown)}; the layers are: {", ".join(paper)}.'
    )
  found = {}
  for name, width in paper.items():
    own, sizes = _sizes(width), _sizes(given.get(name, width))
    if len(sizes) != len(own):
      raise ValueError(
        f'Layer {name} has sizes {own}; widths gives it {sizes}. Give '
        f'{len(own)}.'
      )
    found[name] = sizes[0] if isinstance(width, int) else sizes
  return found


def _sizes(width):
  if isinstance(width, Width):
    return width.features
  return (width,) if isinstance(width, int) else tuple(width)

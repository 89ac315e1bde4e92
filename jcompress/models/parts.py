"""What the bundled networks have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
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

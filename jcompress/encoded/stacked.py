"""Layers that were encoded one by one and decode to one stacked array."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from jcompress.encoded.leaf import Encoded, leaf, static


@leaf
class Stacked(Encoded):
  """An array whose layers are leaves of their own.

  Attributes:
    parts: an encoded leaf for each layer, all of one decoded shape; layers of
      several axes in the order of the first axis, then the second, ...
    axes: of the array that count layers, ascending, `>= 0`.
    sizes: of these axes.
  """

  parts: tuple[Encoded, ...]
  axes: tuple[int, ...] = static()
  sizes: tuple[int, ...] = static()

  def __post_init__(self):
    if not isinstance(self.parts, tuple):
      return  # what JAX puts in place of the parts
    given = len(self.parts), math.prod(self.sizes), len(self.sizes)
    if given[0] != given[1] or given[2] != len(self.axes) or not self.parts:
      raise ValueError(
        f'{given[0]} layers along axes {self.axes} of sizes {self.sizes}: '
        'their product must be the number of layers, 1 or more.'
      )

  def decode(self):
    layers = [part.decode() for part in self.parts]
    is_wide = all(isinstance(x, np.ndarray) for x in layers)
    xp: Any = np if is_wide else jnp
    x = xp.stack(layers).reshape(*self.sizes, *layers[0].shape)
    return xp.moveaxis(x, tuple(range(len(self.axes))), self.axes)

  def bits(self):
    return sum(part.bits() for part in self.parts)

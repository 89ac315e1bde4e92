"""Groups of the weights of one array that share a scale."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from jcompress import tree
from jcompress.encoded.quantized import Tile, spread

Axis = int | tuple[int, ...] | None


class Groups(NamedTuple):
  """Which weights of an array share a scale.

  Attributes:
    shape: of the array.
    axes: each index along these has groups of its own; not negative.
    tile: `(axis, size)`: so has each run of `size` indices along this axis.
  """

  shape: tuple[int, ...]
  axes: tuple[int, ...]
  tile: Tile | None

  @property
  def scale_shape(self) -> tuple[int, ...]:
    """One entry a group."""
    shape = [n if i in self.axes else 1 for i, n in enumerate(self.shape)]
    if self.tile:
      axis, size = self.tile
      shape[axis] = -(-self.shape[axis] // size)
    return tuple(shape)

  def reduce(
    self, x: Shaped[Array, '...'], how: Callable[..., Any]
  ) -> Shaped[Array, '...']:
    """One number for each group, in the shape of the scale.

    Args:
      x: of the shape of the array.
      how: `jnp.max`, of zero too, or `jnp.sum`; zeros fill up the last tile.
    """
    inner = tuple(i for i in range(x.ndim) if i not in self.axes)
    if self.tile:
      axis, size = self.tile
      # Both halves of the axis of the tiles stand where it stood.
      inner = tuple(i + (i >= axis) for i in inner)
      x = _split(x, axis, size)
    return how(x, axis=inner, initial=0).reshape(self.scale_shape)

  def spread(self, scale: Shaped[Array, '...']) -> Shaped[Array, '...']:
    """Repeats the entries of tiles: what comes broadcasts to the array."""
    return spread(scale, self.shape, self.tile)

  def rows(self, x: Shaped[Array, '...']) -> Shaped[Array, 'groups members']:
    """The members of each group, in the order of a flat scale."""
    outer = list(self.axes)
    if self.tile:
      axis, size = self.tile
      outer = sorted(i + (i > axis) for i in (*outer, axis))
      x = _split(x, axis, size)
    x = jnp.moveaxis(tree.replicated(x), outer, range(len(outer)))
    return x.reshape(math.prod(x.shape[: len(outer)]), -1)


def groups_of(shape: tuple[int, ...], axis: Axis, tile: int | None) -> Groups:
  """The groups of an array.

  Args:
    shape: of the array.
    axis: axes of which each index has a scale of its own; `None` for none.
    tile: how many consecutive indices along the last of the other axes share
      a scale; `None` for all.

  Raises:
    ValueError: the array does not have the axes, or no other one.
  """
  given = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
  if any(not -len(shape) <= a < len(shape) for a in given):
    raise ValueError(
      f'{axis=} is not an axis of a weight {list(shape)}: it must lie in '
      f'{-len(shape)} .. {len(shape) - 1}. Give another axis, or select other '
      'leaves.'
    )
  axes = tuple(sorted({a % len(shape) for a in given}))
  others = [i for i in range(len(shape)) if i not in axes]
  if len(axes) < len(given):
    raise ValueError(f'{axis=} names an axis of {list(shape)} twice.')
  if axes and not others:
    raise ValueError(
      f'{axis=} leaves no axis of a weight {list(shape)} along which a scale '
      'is shared: each weight would have its own. Leave out biases and other '
      'vectors by a pattern such as KERNELS, or give axis=None.'
    )
  return Groups(shape, axes, None if tile is None else (others[-1], tile))


def require_groups(axis: Any, tile: Any) -> None:
  """Raises a `ValueError` unless `groups_of` can take them."""
  is_int = lambda x: isinstance(x, int) and not isinstance(x, bool)
  parts = axis if isinstance(axis, tuple) else (axis,)
  if axis is not None and (not parts or not all(map(is_int, parts))):
    raise ValueError(
      f'axis is {axis!r}; it must be a whole number, a tuple of them, or None '
      'for one scale a tensor.'
    )
  if tile is None:
    return
  if not is_int(tile) or tile < 2:
    raise ValueError(f'tile is {tile!r}; it must be None or a number >= 2.')
  if axis is None:
    raise ValueError(
      f'tile is {tile} and axis None: give the output axes of the kernel, so '
      'that tiles run along an input axis.'
    )


def _split(x, axis, size):
  x = tree.replicated(x)  # tiles lie across the devices of a mesh
  missing = -x.shape[axis] % size
  x = jnp.pad(x, [(0, missing * (i == axis)) for i in range(x.ndim)])
  shape = list(x.shape)
  shape[axis : axis + 1] = [shape[axis] // size, size]
  return x.reshape(shape)

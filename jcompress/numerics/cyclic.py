"""Four orientations of an image side by side in the batch.

Between `cyclic_slice` and `cyclic_pool` or `cyclic_stack` any layer sees each
image in four orientations, the orientation first: `turns * batch + image`.
Batch statistics are then those of all orientations. With `cyclic_roll` before
each convolution the network is that of the group p4: four times fewer filters,
each with four times the inputs.

References:
  Dieleman et al., Exploiting Cyclic Symmetry in Convolutional Neural Networks,
    2016, arXiv 1602.02660.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cyclic_slice(x: Float[Array, 'n h h c']) -> Float[Array, 'm h h c']:
  """Images turned by 0, 90, 180 and 270 degrees clockwise: four times as many.

  Args:
    x: square images.

  Raises:
    ValueError: they are not.
  """
  _require(x, 1)
  return jnp.concatenate([_turn(x, -s) for s in range(4)])


def cyclic_pool(
  x: Float[Array, 'm h h c'], kind: str = 'mean'
) -> Float[Array, 'n h h c']:
  """Turns each orientation back and pools over the four: invariant.

  Args:
    x: maps of all orientations.
    kind: `'mean'`, `'max'` or `'rms'`, the root of the mean square.

  Raises:
    ValueError: they are not four orientations of square maps; another kind.
  """
  maps = jnp.stack(_upright(x))
  if kind == 'mean':
    return maps.mean(0)
  if kind == 'max':
    return maps.max(0)
  if kind == 'rms':
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(maps), 0))
    unit = jnp.where(largest > 0, largest, 1)
    mean = jnp.mean((maps / unit) ** 2, 0)
    # At a map of zeros the root has no finite derivative.
    return jnp.sqrt(jnp.where(mean > 0, mean, 1)) * largest
  raise ValueError(f"kind is {kind!r}; it must be 'mean', 'max' or 'rms'.")


def cyclic_stack(x: Float[Array, 'm h h c']) -> Float[Array, 'n h h d']:
  """Turns each orientation back, and makes channels of the four.

  Args:
    x: maps of all orientations.

  Returns:
    A fourth of the batch, four times the channels: `turns * c + channel`.

  Raises:
    ValueError: they are not four orientations of square maps.
  """
  return jnp.concatenate(_upright(x), -1)


def cyclic_roll(x: Float[Array, 'm h h c']) -> Float[Array, 'm h h d']:
  """Gives each orientation the maps of all four, turned into its own.

  Args:
    x: maps of all orientations.

  Returns:
    Four times the channels, those of the orientation itself first.

  Raises:
    ValueError: they are not four orientations of square maps.
  """
  parts = _parts(x)
  return jnp.concatenate(
    [
      jnp.concatenate([_turn(parts[(s + u) % 4], u) for u in range(4)], -1)
      for s in range(4)
    ]
  )


def _turn(x, quarters):
  return jnp.rot90(x, quarters, (1, 2))


def _upright(x):
  return [_turn(part, s) for s, part in enumerate(_parts(x))]


def _parts(x):
  _require(x, 4)
  return x.reshape(4, x.shape[0] // 4, *x.shape[1:])


def _require(x, count):
  if x.ndim != 4 or x.shape[1] != x.shape[2] or x.shape[0] % count:
    raise ValueError(
      f'Images or maps of shape {list(x.shape)}; they must be [batch, size, '
      f'size, channels], square, the batch a multiple of {count}.'
    )

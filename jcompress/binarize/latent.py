"""What methods that train latent weights behind binary ones share."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from jcompress.base import Compressor
from jcompress.passing import map_state
from jcompress.tree import is_key


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
  """How many inputs feed an output, and how many outputs an input feeds.

  Args:
    shape: of a kernel, `[in, out]` or `[height, width, in, out]`.

  >>> fans((784, 1024)), fans((3, 3, 3, 128))
  ((784, 1024), (27, 1152))

  Raises:
    ValueError: the shape has fewer than two axes.
  """
  if len(shape) < 2:
    raise ValueError(
      f'A kernel of shape {list(shape)} has no fan-in; it must be [in, out] or '
      '[..., in, out]. Leave biases and norms out: select(KERNELS, ...).'
    )
  window = math.prod(shape[:-2])
  return window * shape[-2], window * shape[-1]


def filter_axes(scope: str, ndim: int) -> tuple[int, ...]:
  """The axes over which one scale is shared: all but the last, or all."""
  return tuple(range(ndim - 1 if scope == 'filter' else ndim))


def require_scope(scope: str) -> None:
  if scope not in ('filter', 'layer'):
    raise ValueError(
      f"scope is {scope!r}; it must be 'filter' (one scale for each output "
      "unit, the last axis) or 'layer' (one for the whole array)."
    )


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
  if value not in choices:
    raise ValueError(f'{name} is {value!r}; it must be one of {choices}.')


def clip_to(w: Float[Array, '*shape'], bound: float) -> Float[Array, '*shape']:
  """Clips to `-bound .. bound`; NaN stays NaN."""
  return jnp.clip(w, -bound, bound).astype(w.dtype)


def look_up(
  table: Float[Array, ' k'], codes: Integer[Array, '*shape']
) -> Float[Array, '*shape']:
  """`table[codes]`, with the sharding of the codes."""
  return table.at[codes.astype(jnp.int32)].get(
    mode='clip', out_sharding=jax.typeof(codes).sharding
  )


def happens(
  key: jax.Array, probability: Float[Array, '*shape']
) -> Bool[Array, '*shape']:
  """Booleans that are true with the given probabilities."""
  draws = jax.random.uniform(key, probability.shape, probability.dtype)
  return draws < probability


def draw_key(key: jax.Array) -> jax.Array:
  """The key of this step's draws; `next_key` gives that of the next step."""
  return jax.random.split(key)[1]


def next_key(key: jax.Array) -> jax.Array:
  return jax.random.split(key)[0]


def distinct_keys(compressor: Compressor) -> Compressor:
  """Gives each array its own key: `init` folds the place of the array in."""

  def init(params):
    latent, state = compressor.init(params)
    return latent, map_state(fold, state)

  def fold(state):
    leaves, treedef = jax.tree.flatten(state)
    leaves = [
      jax.random.fold_in(x, i) if is_key(x) else x for i, x in enumerate(leaves)
    ]
    return jax.tree.unflatten(treedef, leaves)

  return compressor._replace(init=init)

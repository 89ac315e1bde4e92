"""Predicted parameters: a few weights train, the others follow from them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import Factors
from jcompress.leafwise import leafwise

_LETTERS = 'abcdefghijklmnop'


class Dictionary(NamedTuple):
  """State of `predicted`."""

  value: jax.Array  # [positions, kept]


def predicted(
  subset: float | Sequence[int],
  width: float = 1.0,
  ridge: float = 1e-3,
  *,
  grid: Sequence[int] | None = None,
) -> Compressor:
  """Trains the weights at a few positions, and predicts the others.

  Weights of one output vary smoothly over a grid of positions, so that kernel
  ridge regression from some of them tells the rest:

      w = k_alpha (K_alpha + ridge I)^-1 w_alpha,  k = exp(-d^2 / (2 width^2))

  The matrix in front is a fixed dictionary. The latent are the `w_alpha`, those
  of the array at `init`; with the ridge they are predicted a little smaller.
  Both are shipped, the dictionary once for each array.

  Exact zeros do not stay zero.

  Args:
    subset: fraction of the positions that train, evenly spaced, or which ones.
    width: of the squared-exponential kernel, in positions, `> 0`.
    ridge: `> 0`.
    grid: how the positions of an array are laid out, the product of its first
      axes: `(28, 28)` for a layer of images. Without it the window of a
      convolution, and the row of inputs of a matrix.

  Raises:
    ValueError: an argument out of range; in `init`, an array that has no such
      grid, or positions that it has not.

  References:
    Denil et al., Predicting Parameters in Deep Learning, 2013, arXiv 1306.0543.
  """
  if not 0 < width < math.inf or not 0 < ridge < math.inf:
    raise ValueError(
      f'width is {width} and ridge {ridge}; both must be finite and > 0.'
    )
  if isinstance(subset, float) and not 0 < subset <= 1:
    raise ValueError(f'subset is {subset}; it must be > 0 and at most 1.')

  def init(w):
    axes = _grid_axes(w.shape, grid)
    sizes = tuple(w.shape[:axes] if grid is None else grid)
    chosen = _chosen(subset, math.prod(sizes))
    matrix = jnp.asarray(dictionary(sizes, chosen, width, ridge), w.dtype)
    whole = tree.replicated(w).reshape(math.prod(sizes), *w.shape[axes:])
    value = matrix.reshape(*w.shape[:axes], len(chosen))
    return whole[np.asarray(chosen, np.int32)], Dictionary(value)

  def encode(latent, state):
    n, rest = state.value.ndim - 1, latent.ndim - 1
    rows, columns = _LETTERS[:n], _LETTERS[n : n + rest]
    shape = *state.value.shape[:-1], *latent.shape[1:]
    equation = f'{rows}Z,Z{columns}->{rows}{columns}'
    return Factors((state.value, latent), equation, shape)

  def view(latent, state):
    return encode(latent, state).decode()

  return leafwise(init, view, encode)


def dictionary(
  grid: Sequence[int], chosen: Sequence[int], width: float, ridge: float
) -> Float[np.ndarray, 'positions kept']:
  """What predicts the weights of all positions of a grid from some of them."""
  places = np.indices(grid).reshape(len(grid), -1).T.astype(np.float64)
  known = places[list(chosen)]
  distance = np.square(places[:, None] - known[None]).sum(-1)
  kernel = np.exp(-distance / (2 * width**2))
  gram = kernel[list(chosen)] + ridge * np.eye(len(chosen))
  return np.linalg.solve(gram, kernel.T).T


def _grid_axes(shape, grid):
  """How many of the first axes of an array are positions."""
  if len(shape) < 2:
    raise ValueError(
      f'A weight of shape {tuple(shape)} has no positions and outputs: it '
      'needs two axes or more. Select the kernels only.'
    )
  if grid is None:
    return max(1, len(shape) - 2)
  for axes in range(1, len(shape)):
    if math.prod(shape[:axes]) == math.prod(grid):
      return axes
  raise ValueError(
    f'The grid {tuple(grid)} has {math.prod(grid)} positions; the first axes '
    f'of a weight of shape {tuple(shape)} must multiply to that.'
  )


def _chosen(subset, count):
  if isinstance(subset, float):
    kept = min(count, max(1, round(subset * count)))
    places = np.linspace(0, count - 1, kept)
    return sorted({int(i) for i in np.round(places)})
  chosen = sorted({int(i) for i in subset})
  if not chosen or chosen[0] < 0 or chosen[-1] >= count:
    raise ValueError(
      f'The subset {list(subset)} must be positions in 0 .. {count - 1}, one '
      'or more.'
    )
  return chosen

"""SmoothQuant: outliers of inputs are moved into the weights."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.finite import require_finite


def smooth_scales(
  w: Float[Array | np.ndarray, '*inputs out'],
  largest: Float[Array | np.ndarray, '...'],
  alpha: float = 0.5,
) -> Float[Array, ' in']:
  """How to move the outliers of inputs into the weights, for integers in both.

  `s_i = max|x_i|^alpha / max|w_i|^(1 - alpha)`: the layer of `w_i * s_i`
  on inputs `x_i / s_i` gives the same outputs. Fold `1 / s` into what makes the
  inputs, such as the scale of a LayerNorm.

  Args:
    w: kernel; all axes but the last are inputs.
    largest: magnitude of each input, `>= 0`, from examples.
    alpha: how much of the difficulty goes to the weights, `0 .. 1`.

  Returns:
    float32, positive; 1 for inputs or weights that are all zero.

  Raises:
    ValueError: alpha out of range, magnitudes that do not fit.

  References:
    Xiao et al., SmoothQuant, 2022, arXiv 2211.10438, equation 4.

  >>> w = np.array([[0.5, -0.25], [1.0, 0.0]])
  >>> print(smooth_scales(w, np.array([8.0, 1.0])))
  [4. 1.]
  """
  require_finite(w, 'smooth_scales')
  if not 0 <= alpha <= 1:
    raise ValueError(f'alpha is {alpha}; it must lie in 0 .. 1.')
  inputs = math.prod(w.shape[:-1])
  x = input_sizes('largest', largest, inputs)
  rows = np.abs(tree.to_host(w).astype(np.float64))
  reach = rows.reshape(inputs, w.shape[-1]).max(axis=1, initial=0)
  found = (x > 0) & (reach > 0)
  x, reach = np.where(found, x, 1), np.where(found, reach, 1)
  return jnp.asarray(x**alpha / reach ** (1 - alpha), jnp.float32)


def input_sizes(
  name: str, x: Float[Array | np.ndarray, '...'], inputs: int
) -> Float[np.ndarray, ' in']:
  """Magnitudes of the inputs of a layer in float64, after a check.

  Raises:
    ValueError: they are not one finite number `>= 0` for each input; it begins
      with `name`.
  """
  x = np.asarray(x, np.float64)
  if x.shape != (inputs,) or not np.isfinite(x).all() or (x < 0).any():
    raise ValueError(
      f'{name} is {list(x.shape)} from {x.min(initial=0)} on; it must be a '
      f'finite number >= 0 for each of the {inputs} inputs.'
    )
  return x

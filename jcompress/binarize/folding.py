"""Batch normalization and sign, folded into one whole number for each unit."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int32, Num

_LEAST, _GREATEST = -(2**31), 2**31 - 1


class FoldedThreshold(NamedTuple):
  """What a unit compares its sum of signs with; see `fold_threshold`.

  Attributes:
    threshold: `t`.
    direction: `d`, `+1` or `-1`.
  """

  threshold: Int32[Array, '*units']
  direction: Int32[Array, '*units']

  def __call__(
    self, sums: Int[Array, '*batch units']
  ) -> Bool[Array, '*batch units']:
    """Whether the output of each unit is `+1`: `d s >= t`."""
    return self.direction * sums >= self.threshold


def fold_threshold(
  gamma: Num[Array | np.ndarray, '...'],
  beta: Num[Array | np.ndarray, '...'],
  mean: Num[Array | np.ndarray, '...'],
  variance: Num[Array | np.ndarray, '...'],
  epsilon: float = 1e-5,
) -> FoldedThreshold:
  """Folds batch normalization and sign into a comparison of whole numbers.

  For a whole number `s`, such as a dot product of signs, and
  `c = mean - beta sqrt(variance + epsilon) / gamma`,

      sgn(gamma (s - mean) / sqrt(variance + epsilon) + beta) = +1
        where s >= ceil(c),    if gamma > 0;
        where -s >= -floor(c), if gamma < 0;
        where beta >= 0,       if gamma = 0,

  all of them `d s >= t`. Computed on the host in float64: float32 statistics
  decide otherwise only where their own rounding moves the sum across zero.

  >>> gamma, beta, mean, variance = np.array([[2.0], [1.0], [3.0], [4.0]])
  >>> folded = fold_threshold(gamma, beta, mean, variance, epsilon=0)
  >>> folded.threshold, folded(jnp.array([[1], [2]])).tolist()
  (Array([2], dtype=int32), [[False], [True]])

  Args:
    gamma: scales of the normalization, for each unit.
    beta: its offsets.
    mean: running means of the sums.
    variance: their running variances.
    epsilon: added to the variances.

  Raises:
    ValueError: a statistic that is not finite, shapes that differ, a variance
      plus `epsilon` that is not positive.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  arrays = [np.asarray(a, np.float64) for a in (gamma, beta, mean, variance)]
  if len({a.shape for a in arrays}) > 1:
    raise ValueError(
      'gamma, beta, mean and variance must have one shape, got '
      f'{", ".join(str(a.shape) for a in arrays)}.'
    )
  if not all(np.isfinite(a).all() for a in arrays):
    raise ValueError('NaN or inf in gamma, beta, mean or variance.')
  g, b, m, v = arrays
  if (v + epsilon <= 0).any():
    raise ValueError(
      f'variance + epsilon must be positive; the least variance is {v.min()}, '
      f'and {epsilon=}.'
    )
  direction = np.where(g < 0, -1, 1)
  with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
    cut = m - b * np.sqrt(v + epsilon) / g
  least = np.where(g < 0, -np.floor(cut), np.ceil(cut))
  least = np.where(g == 0, np.where(b >= 0, _LEAST, _GREATEST), least)
  threshold = np.clip(least, _LEAST, _GREATEST)
  return FoldedThreshold(
    jnp.asarray(threshold, jnp.int32), jnp.asarray(direction, jnp.int32)
  )

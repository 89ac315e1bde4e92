"""A smooth curve through points that does not swing between them."""

import numpy as np
from jaxtyping import Float


def monotone_cubic(
  x: Float[np.ndarray, ' points'],
  y: Float[np.ndarray, ' points'],
  at: Float[np.ndarray, ' n'],
) -> Float[np.ndarray, ' n']:
  """Piecewise cubics through points; they rise and fall as the points do.

  The slope at a point is the weighted harmonic mean of those of the two lines
  that meet there, 0 where these differ in sign; at the ends it is the line's.

  Args:
    x: rising; two points or more.
    y: any.
    at: within `x`.

  >>> x = np.array([0.0, 1, 3])
  >>> monotone_cubic(x, 2 * x, np.array([0.5, 2.0]))
  array([1., 4.])

  References:
    Fritsch and Butland, A Method for Constructing Local Monotone Piecewise
      Cubic Interpolants, 1984.
  """
  gaps = np.diff(x)
  lines = np.diff(y) / gaps
  left, right = lines[:-1], lines[1:]
  toward, away = gaps[1:] + 2 * gaps[:-1], 2 * gaps[1:] + gaps[:-1]
  turns = left * right <= 0
  safe = lambda slope: np.where(turns, 1.0, slope)
  mean = (toward + away) / (away / safe(left) + toward / safe(right))
  slopes = np.concatenate([lines[:1], np.where(turns, 0.0, mean), lines[-1:]])
  i = np.clip(np.searchsorted(x, at) - 1, 0, len(gaps) - 1)
  h, t = gaps[i], (at - x[i]) / gaps[i]
  return (
    y[i] * (1 + 2 * t) * (1 - t) ** 2
    + y[i + 1] * t**2 * (3 - 2 * t)
    + h * t * (1 - t) * (slopes[i] * (1 - t) - slopes[i + 1] * t)
  )

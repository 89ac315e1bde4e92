"""The grid with the least squared error on a normal variable."""

import functools
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

from jcompress.numerics.whole import require_whole


@functools.cache
def normal_grid(bits: int) -> tuple[float, ...]:
  """The `2^bits` levels of Lloyd and Max for N(0, 1), increasing.

  Each level is the mean of its interval, whose ends lie halfway between two
  levels. Found by Newton's method on the upper half; the Jacobian has three
  diagonals.

  Args:
    bits: `1 .. 8`.

  Raises:
    ValueError: bits out of range.

  References:
    Max, Quantizing for Minimum Distortion, 1960, table I.
    Lloyd, Least Squares Quantization in PCM, 1982.

  >>> [round(x, 4) for x in normal_grid(2)]
  [-1.5104, -0.4528, 0.4528, 1.5104]
  """
  require_whole('bits', bits, 1, 8)
  n = 2 ** (bits - 1)
  # Quantiles of the cube root of the density are optimal for many levels.
  wide = NormalDist(0, 3**0.5)
  levels = np.array([wide.inv_cdf(0.5 + (i + 0.5) / (2 * n)) for i in range(n)])
  for _ in range(100):
    error, slope = _means(levels)
    step = np.linalg.solve(slope, error)
    levels = levels - step
    if np.abs(step).max() < 1e-9:
      break
  return (*map(float, -levels[::-1]), *map(float, levels))


def normal_error(levels: Float[np.ndarray, ' k']) -> float:
  """The mean squared error of rounding a N(0, 1) variable to levels."""
  low, high = _ends(levels, -np.inf)
  mass, first, second = _moments(low, high)
  return float(np.sum(second - 2 * levels * first + levels**2 * mass))


def _means(levels):
  """How far each level is from the mean of its interval, and the slope."""
  low, high = _ends(levels, 0.0)
  mass, first, _ = _moments(low, high)
  mean = first / mass
  by_low = _density(low) * (mean - low) / mass
  # The highest end is infinite, and no level moves it.
  by_high = _density(high) * (np.where(high < np.inf, high, 0) - mean) / mass
  # The lowest end is fixed, the others are halves of two neighbors.
  by_low[0] = 0
  slope = np.eye(len(levels)) - np.diag(by_low + by_high) / 2
  slope -= np.diag(by_low[1:], -1) / 2 + np.diag(by_high[:-1], 1) / 2
  return levels - mean, slope


def _ends(levels, first):
  middle = (levels[1:] + levels[:-1]) / 2
  return np.array([first, *middle]), np.array([*middle, np.inf])


def _moments(low, high):
  """Mass, first and second moment of N(0, 1) between two ends."""
  share = np.vectorize(NormalDist().cdf)
  # Of the upper tail, so that its digits are not lost at 1.
  mass = share(-low) - share(-high)
  ends = [np.where(np.isfinite(x), x, 0) * _density(x) for x in (low, high)]
  first = _density(low) - _density(high)
  return mass, first, mass + ends[0] - ends[1]


def _density(x):
  return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)

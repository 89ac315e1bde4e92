"""The rank of a matrix under noise, by analytic variational Bayes."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.finite import require_finite

_POINTS = 400
_LEAST = 1e-7


class Evidence(NamedTuple):
  """What `evidence` finds in a matrix.

  Attributes:
    rank: singular values that are more than noise; 0 of noise alone.
    variance: of the noise in an entry.
    threshold: that a singular value must exceed.
    values: the singular values of the rank, shrunk by what noise adds to them.
    energy: the free energy of the variance, without its constant terms.
  """

  rank: int
  variance: float
  threshold: float
  values: Float[np.ndarray, ' rank']
  energy: float


def evbmf_rank(matrix: Float[Array | np.ndarray, 'm n']) -> int:
  """The rank at which a matrix is factored best under Gaussian noise.

  Computed on the host. A trained kernel is not white noise and a signal, so
  that this rank is where to begin a search, not where it ends.

  Args:
    matrix: such as a kernel unfolded along its inputs.

  Returns:
    0 of noise alone; take at least one.

  >>> evbmf_rank(np.diag([5.0, 4.0, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2]))
  2

  References:
    Nakajima, Sugiyama, Babacan & Tomioka, Global Analytic Solution of Fully-
    observed Variational Bayesian Matrix Factorization, 2013.
    Kim et al., 2016, arXiv 1511.06530.
  """
  return evidence(matrix).rank


def evidence(matrix: Float[Array | np.ndarray, 'm n']) -> Evidence:
  """The empirical variational Bayes solution for a matrix, analytically.

  The variance of the noise has the least free energy between its bounds. There
  are several local minima: it is looked for at 400 points evenly spaced by
  their logarithms, then closer and closer around the best one.

  Args:
    matrix: finite.

  Raises:
    ValueError: NaN or inf.

  References:
    Nakajima et al., 2013.
  """
  require_finite(matrix, 'evbmf_rank')
  y = tree.to_host(matrix).astype(np.float64)
  rows, columns = sorted(y.shape)
  s = np.linalg.svd(y, compute_uv=False) if y.size else np.zeros(0)
  largest = s.max(initial=0)
  if largest == 0:
    return Evidence(0, 0.0, 0.0, np.zeros(0), 0.0)
  s = np.maximum(s / largest, _LEAST)  # of zeros there is no logarithm
  alpha = rows / columns
  tau = 2.5129 * math.sqrt(alpha)
  limit = (1 + tau) * (1 + alpha / tau)
  upper = np.sum(s**2) / (rows * columns)
  lower = min(_lower(s, rows, columns, alpha, limit), upper)
  energy = lambda variance: _free_energy(s, variance, columns, alpha, limit)
  for _ in range(4):
    grid = np.geomspace(lower, upper, _POINTS)
    energies = energy(grid)
    best = int(np.argmin(energies))
    lower = grid[max(best - 1, 0)]
    upper = grid[min(best + 1, _POINTS - 1)]
  variance = grid[best]
  threshold = math.sqrt(columns * variance * limit)
  kept = s[s > threshold]
  scale = largest**2
  return Evidence(
    len(kept),
    float(variance * scale),
    float(threshold * largest),
    _shrunk(kept, rows, columns, variance) * largest,
    float(energies[best]),
  )


def _lower(s, rows, columns, alpha, limit):
  """No variance below this has the least free energy."""
  first = int(min(math.ceil(rows / (1 + alpha)) - 1, rows))
  rest = s[first:] ** 2
  lower = max(rest[0] / (columns * limit), rest.mean() / columns)
  return max(lower, _LEAST**2)


def _free_energy(s, variance, columns, alpha, limit):
  """Of each variance of a list."""
  x = s[None] ** 2 / (columns * variance[:, None])
  above = x > limit
  y = np.where(above, 1, x)
  x = np.where(above, x, limit + 1)
  z = x - 1 - alpha
  t = (z + np.sqrt(np.maximum(z**2 - 4 * alpha, 0))) / 2
  noise = y - np.log(y)
  signal = x - t + np.log((t + 1) / x) + alpha * np.log(t / alpha + 1)
  return np.where(above, signal, noise).sum(1)


def _shrunk(s, rows, columns, variance):
  left = 1 - (rows + columns) * variance / s**2
  gap = left**2 - 4 * rows * columns * variance**2 / s**4
  return s / 2 * (left + np.sqrt(np.maximum(gap, 0)))

"""Rounding where later inputs and later outputs make up for each error."""

import numpy as np
from jaxtyping import Float

from jcompress.prune.inverse_factor import Factored


def round_both_ways(
  w: Float[np.ndarray, 'in out'], inputs: Factored, outputs: Factored
) -> Float[np.ndarray, 'in out']:
  """Integers near to the weights, one entry after the other.

  With `H = A^T D A` and `G = B^T E B`, `A` and `B` lower triangular with ones
  on their diagonals, the error is `tr(G R^T H R) = sum_ik D_i E_k (A R B^T)_ik
  ^2` of `R = q - w`. An entry of `A R B^T` has, beside its own error, those of
  entries before it alone: so each is rounded to make up for these. Entries on
  one antidiagonal do not depend on each other.

  Exact zeros stay zero.

  Args:
    w: in units of the step.
    inputs: `H`, factored.
    outputs: `G`, factored.

  References:
    Tseng et al., Model-Preserving Adaptive Rounding, 2025, arXiv 2505.22988.
  """
  a, b = (_feedback(f) for f in (inputs, outputs))
  places = np.ix_(inputs.order, outputs.order)
  w = w.astype(np.float32)[places]
  n, m = w.shape
  errors = np.zeros((m, n), np.float32)  # R^T
  left = np.zeros((n, m), np.float32)  # A R
  rounded = np.zeros((n, m), np.float32)
  for place in range(n + m - 1):
    first, end = max(0, place - m + 1), min(n, place + 1)
    i = np.arange(first, end)
    k = place - i
    down = slice(place - end + 1, place - first + 1)  # k, from last to first
    before = _dots(a[first:end, :end], errors[down, :end][::-1])
    most = k[0] + 1
    owed = before + _dots(b[down, :most][::-1], left[first:end, :most])
    exact = w[i, k]
    whole = np.where(exact == 0, 0, np.rint(exact - owed))
    errors[k, i] = whole - exact
    left[i, k] = before + whole - exact
    rounded[i, k] = whole
  found = np.empty_like(rounded)
  found[places] = rounded
  return found


def _dots(x, y):
  return np.einsum('ij,ij->i', x, y)


def _feedback(factored):
  """The lower triangle below the diagonal, of ones, of `A` in `A^T D A`."""
  unit = (factored.root / np.diagonal(factored.root)).T
  return np.ascontiguousarray(np.tril(unit, -1).astype(np.float32))

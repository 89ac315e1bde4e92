"""k-means on a line: the k values that stand in best for many weights.

In one dimension the best clusters are intervals, so after one sort a clustering
is `k - 1` cuts, the sums over a cluster are differences of cumulative sums, and
neither a Lloyd iteration nor the exact dynamic programme looks at single
weights again. Everything runs on the host, in NumPy.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float32, Int, Shaped, UInt

from jcompress.numerics.whole import require_whole
from jcompress.quantize.intervals import (
  CHUNK,
  MAX_K,
  Line,
  best_cuts,
  make_line,
)

_LLOYD_BUDGET = 2**22


class KMeans(NamedTuple):
  """A clustering of weights.

  Attributes:
    centers: `[k]`, sorted; where the weights have fewer than `k` distinct
      values, the last center is repeated to fill up.
    codes: of the shape of the weights, `0 .. k - 1`, never a repeated center.
    distortion: sum of importance times squared distance to the center.
  """

  centers: Float32[np.ndarray, ' k']
  codes: UInt[np.ndarray, '...']
  distortion: float


def kmeans_1d(
  w: Shaped[Array | np.ndarray, '...'],
  k: int,
  *,
  weights: Shaped[Array | np.ndarray, '...'] | None = None,
  start: str | None = None,
  method: str | None = None,
  seed: int = 0,
) -> KMeans:
  """Finds `k` centers that minimize `sum_i h_i (w_i - c[code_i])^2`.

  Takes one sort, `O(n)` memory and, per Lloyd iteration, `O(k log n)` time.

  >>> kmeans_1d(np.array([0.1, 0.9, 0.3, 1.1]), 2).centers
  array([0.2, 1. ], dtype=float32)

  Args:
    w: weights of any shape; rounded to float32.
    k: number of centers, `1 .. 65536`.
    weights: importance `h` of each weight, `>= 0`, of the shape of `w`; of
      weight zero is coded but moves no center. Default: all one.
    start: of Lloyd's iteration: `'linear'`, `k` equally spaced points from the
      least to the largest weight; `'density'`, `k` points with equally many
      weights around each; `'random'`, `k` weights drawn at random (Forgy).
    method: `'exact'`, the optimum by dynamic programming for up to 8,192
      distinct weights (16,384 for `k <= 1024`); for more, the optimum over some
      thousand bins of them, or for `k > 2048` the asymptotically best spacing,
      improved by Lloyd's iteration. `'lloyd'`, the iteration from `start` alone
      (default `'linear'`) to a local optimum, or for `max(100, 2**22 // k)`
      rounds; instead of a cluster that runs empty the worst one is split.
      Default: `'lloyd'` if a start is given, else `'exact'`.
    seed: of the random start.

  Raises:
    ValueError: `w` is empty or has NaN or inf; `k` out of range; importances of
      another shape, negative, not finite or all zero; an unknown start or
      method; a start together with `method='exact'`, which has none.

  References:
    Han et al., Deep Compression, 2016, arXiv 1510.00149, section 3.2: starts.
    Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
      1612.01543, eq. 7: importance.
    Wang and Song, Ckmeans.1d.dp: Optimal k-means Clustering in One Dimension by
      Dynamic Programming, 2011: the optimum.
  """
  require_whole('k', k, 1, MAX_K)
  method = resolve_method(method, start)
  x, scale = _finite(w, np.float32, 'w'), 1.0
  h = None
  if weights is not None:
    h, scale = _importance(weights, x.shape)
  line = make_line(x, h)
  if line.values.size <= k:
    cuts = np.arange(1, line.values.size)
  elif method == 'exact':
    cuts = _lloyd(line, best_cuts(line, k), k)
  else:
    cuts = _lloyd(line, _nearest(line, _start(line, start, k, seed)), k)
  return _clustering(line, cuts, x, h, k, scale)


def resolve_method(method: str | None, start: str | None) -> str:
  """The method of `kmeans_1d` that is meant.

  Raises:
    ValueError: an unknown one, an unknown start, or a start that the method
      does not have.
  """
  if start not in (None, 'linear', 'density', 'random'):
    raise ValueError(
      f"start is {start!r}; it must be 'linear', 'density' or 'random'."
    )
  if method not in (None, 'exact', 'lloyd'):
    raise ValueError(f"method is {method!r}; it must be 'exact' or 'lloyd'.")
  if method == 'exact' and start is not None:
    raise ValueError(
      f"method='exact' has no start, got {start=}. Leave one of them out."
    )
  return method or ('exact' if start is None else 'lloyd')


def _finite(x, dtype, name):
  with np.errstate(over='ignore'):
    x = np.asarray(x).astype(dtype, copy=False)
  if not x.size:
    raise ValueError(f'{name} is empty, of shape {x.shape}; give some weights.')
  if not np.isfinite(x).all():
    raise ValueError(
      f'{name} has NaN, inf or values beyond {np.dtype(dtype)}; '
      'it must be finite.'
    )
  return x


def _importance(weights, shape):
  weights = _finite(weights, np.float64, 'weights')
  if weights.shape != shape:
    raise ValueError(
      f'weights has shape {weights.shape}; it must have that of w, {shape}.'
    )
  if weights.min() < 0 or not weights.max() > 0:
    raise ValueError(
      f'weights lie in {weights.min()} .. {weights.max()}; they must be >= 0 '
      'and not all zero. Clamp a Hessian diagonal at a small positive number.'
    )
  return weights / weights.max(), float(weights.max())


def _means(line: Line, cuts: Int[np.ndarray, ' c']):
  """Edges, centred means and distortions of the clusters between cuts."""
  edges = np.concatenate([[0], cuts, [line.values.size]])
  mass, moment, energy = np.diff(line.sums_to(edges))
  # Rounding of the sums can hide a cluster beside one of far larger mass.
  mass = np.maximum(mass, np.finfo(np.float64).tiny)
  lowest = line.values[edges[:-1]] - line.centre
  highest = line.values[edges[1:] - 1] - line.centre
  means = np.clip(moment / mass, lowest, highest)
  distortions = np.maximum(energy - means * moment, 0)
  distortions[lowest == highest] = 0
  return edges, means, distortions


def _nearest(line: Line, centers: Float[np.ndarray, ' k']):
  return line.count_up_to((centers[1:] + centers[:-1]) / 2)


def _lloyd(line: Line, cuts: Int[np.ndarray, ' c'], k: int):
  best, least = cuts, np.inf
  for _ in range(max(100, _LLOYD_BUDGET // k)):
    cuts = _split_to(line, cuts, k)
    _, means, distortions = _means(line, cuts)
    # Rounding makes the last iterations of ill-scaled weights go in circles.
    if not distortions.sum() < least:
      break
    best, least = cuts, distortions.sum()
    cuts = _nearest(line, means)
  return best


def _split_to(line: Line, cuts: Int[np.ndarray, ' c'], k: int):
  """Drops empty clusters and splits those of the largest distortion instead."""
  values = line.values
  cuts = np.unique(cuts[(cuts > 0) & (cuts < values.size)])
  while missing := k - 1 - cuts.size:
    edges, means, distortions = _means(line, cuts)
    is_one_value = values[edges[:-1]] == values[edges[1:] - 1]
    distortions[is_one_value] = -np.inf
    chosen = np.argsort(-distortions, kind='stable')[:missing]
    chosen = chosen[~is_one_value[chosen]]
    low = np.searchsorted(values, values[edges[chosen]], side='right')
    high = np.searchsorted(values, values[edges[chosen + 1] - 1], side='left')
    splits = np.clip(line.count_up_to(means[chosen]), low, high)
    cuts = np.sort(np.concatenate([cuts, splits]))
  return cuts


def _start(line, start, k, seed):
  if start == 'linear':
    return np.linspace(line.values[0], line.values[-1], k) - line.centre
  if start == 'density':
    shares = (np.arange(k) + 0.5) / k
  else:
    shares = np.sort(np.random.default_rng(seed).random(k))
  mass = np.cumsum(line.share)
  return line.values[np.searchsorted(mass, shares * mass[-1])] - line.centre


def _clustering(line, cuts, w, weights, k, scale) -> KMeans:
  edges, means, _ = _means(line, cuts)
  lowest, highest = line.values[edges[:-1]], line.values[edges[1:] - 1]
  centers = (means + line.centre).astype(np.float32)
  centers = np.clip(centers, lowest, highest)
  bounds = np.nextafter(lowest[1:], np.float32(-np.inf))
  bounds = np.clip(centers[1:] / 2 + centers[:-1] / 2, highest[:-1], bounds)
  codes = np.zeros(w.shape, np.uint8 if k <= 256 else np.uint16)
  flat, flat_codes, distortion = w.reshape(-1), codes.reshape(-1), 0.0
  for i in range(0, w.size, CHUNK):
    part, code = flat[i : i + CHUNK], flat_codes[i : i + CHUNK]
    if k > 128:
      code[:] = np.searchsorted(bounds, part)
    else:
      for bound in bounds:
        code += part > bound
    squares = np.square(part - centers.astype(np.float64)[code])
    if weights is None:
      distortion += float(squares.sum())
    else:
      h = weights.reshape(-1)[i : i + CHUNK]
      distortion += float(np.dot(h, squares)) * scale
  centers = np.pad(centers, (0, k - centers.size), mode='edge')
  return KMeans(centers, codes, distortion)

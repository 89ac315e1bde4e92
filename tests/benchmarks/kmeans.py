"""Times `kmeans_1d` against scikit-learn and measures its gap to the optimum.

Run as `python tests/benchmarks/kmeans.py`. Shortest of three runs each, in one
process.
"""

import time

import numpy as np
from sklearn.cluster import KMeans

from jcompress.quantize.kmeans import kmeans_1d

K = 32


def weights(n, seed=0):
  """Half normal, half Laplace: the two usual shapes of trained layers."""
  rng = np.random.default_rng(seed)
  draws = rng.standard_normal(n - n // 2), rng.laplace(size=n // 2)
  return np.concatenate(draws).astype(np.float32)


def timed(function, repeats=3):
  """The result, and the shortest time of a few calls in seconds."""
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    result = function()
    seconds.append(time.perf_counter() - start)
  return result, min(seconds)


def distortion(w, centers):
  """Of the nearest centers, in float64, the same for both libraries."""
  centers = np.sort(centers.astype(np.float64))
  codes = np.searchsorted((centers[1:] + centers[:-1]) / 2, w)
  return np.square(w - centers[codes]).sum()


def against_sklearn(n):
  w = weights(n)
  ours, seconds = timed(lambda: kmeans_1d(w, K))
  model = KMeans(n_clusters=K, n_init=1, random_state=0)
  theirs, their_seconds = timed(lambda: model.fit(w[:, None]))
  wcss = distortion(w, ours.centers)
  their_wcss = distortion(w, theirs.cluster_centers_[:, 0])
  print(f'{n:,} weights, k = {K}')
  print(f'  jcompress     {seconds:8.3f} s  WCSS {wcss:.4f}')
  print(f'  scikit-learn  {their_seconds:8.3f} s  WCSS {their_wcss:.4f}')
  print(f'  ratio         {their_seconds / seconds:8.1f}')


def quadratic_optimum(w, k):
  """The plain dynamic programme: no bins, no monotonicity, `O(k n^2)`."""
  x = np.sort(w).astype(np.float64)
  moment = np.concatenate([[0], np.cumsum(x)])
  energy = np.concatenate([[0], np.cumsum(x * x)])
  best = np.concatenate([[0], np.full(x.size, np.inf)])
  for _ in range(k):
    new = np.full_like(best, np.inf)
    for i in range(1, x.size + 1):
      mean_part = np.square(moment[i] - moment[:i]) / (i - np.arange(i))
      new[i] = np.min(best[:i] + energy[i] - energy[:i] - mean_part)
    best = new
  return best[-1]


def against_the_optimum(n):
  w = weights(n)
  optimum = quadratic_optimum(w, K)
  print(f'{n:,} weights, k = {K}: distance from the exact optimum')
  for start in (None, 'linear', 'density', 'random'):
    found = kmeans_1d(w, K, start=start).distortion
    name = start or 'exact (default)'
    print(f'  {name:16} {100 * (found / optimum - 1):+.4f} %')


if __name__ == '__main__':
  against_the_optimum(5000)
  against_sklearn(5_000_000)

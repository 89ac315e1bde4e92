import itertools

import numpy as np
import pytest

from jcompress.quantize.intervals import best_cuts, make_line
from jcompress.quantize.kmeans import kmeans_1d


def distortion(x, h, cuts):
  total = 0.0
  for part, mass in zip(np.split(x, cuts), np.split(h, cuts), strict=True):
    total += (mass * (part - np.average(part, weights=mass)) ** 2).sum()
  return total


@pytest.mark.parametrize('k', [2, 3, 5])
def test_cuts_are_the_best_of_all(k):
  rng = np.random.default_rng(k)
  for _ in range(20):
    x = rng.choice(1000, 9, replace=False).astype(np.float32) / 100
    h = rng.uniform(0.1, 3, 9)
    cuts = best_cuts(make_line(x, h), k)
    order = np.argsort(x)
    best = min(
      distortion(x[order], h[order], c)
      for c in itertools.combinations(range(1, 9), k - 1)
    )
    np.testing.assert_allclose(distortion(x[order], h[order], cuts), best)


def test_a_line_adds_up_the_importance_of_equal_weights():
  w = np.array([2, 1, 2, 5], np.float32)
  line = make_line(w, np.array([1.0, 2.0, 3.0, 0.0]))
  np.testing.assert_array_equal(line.values, [1, 2])
  np.testing.assert_array_equal(line.share, [2, 4])
  sums = line.sums_to(np.array([0, 1, 2]))
  mass, moment, energy = sums - sums[:, :1]
  np.testing.assert_array_equal(mass, [0, 2, 6])
  x = np.array([1, 2]) - line.centre
  np.testing.assert_allclose(moment, [0, 2 * x[0], 2 * x[0] + 4 * x[1]])
  np.testing.assert_allclose(energy[2], 2 * x[0] ** 2 + 4 * x[1] ** 2)


@pytest.mark.parametrize('draw', ['standard_normal', 'standard_cauchy'])
@pytest.mark.parametrize('k', [2, 16, 300])
def test_bins_of_many_weights_are_as_good_as_the_programme(
  monkeypatch, draw, k
):
  w = getattr(np.random.default_rng(k), draw)(6000)
  exact = kmeans_1d(w, k).distortion
  monkeypatch.setattr('jcompress.quantize.intervals._MAX_EDGES', 2500)
  assert kmeans_1d(w, k).distortion <= 1.001 * exact


@pytest.mark.parametrize(
  'far', [[1e9], [-1e9], [1e20], [-1e20], [1e20, -3e20], [-1e20, -3e20, 1e9]]
)
def test_weights_that_are_far_away_do_not_spoil_the_others(far):
  near = np.random.default_rng(0).normal(size=30).astype(np.float32)
  far = np.float32(far)
  alone = kmeans_1d(near, 4)
  together = kmeans_1d(np.r_[near, far], 4 + len(far))
  np.testing.assert_allclose(together.distortion, alone.distortion)
  np.testing.assert_array_equal(
    together.centers, np.sort(np.r_[alone.centers, far])
  )

"""Tests of the fit of the model of neighbours."""

import numpy as np
import pytest

from jcompress.code import adaptive_fit


def _sample(v, near=1, far=0, cap=8, most=10**6):
  v = np.asarray(v)
  low = int(v.min())
  counts = np.bincount((v - low).reshape(-1))
  unit = adaptive_fit.unit_of(counts, -low, cap)
  symbols = (v - low).astype(np.int16)
  return adaptive_fit.sample(symbols, -low, near, far, cap, unit, most)


def test_features_by_hand():
  v = [[0, 3, 0, -1], [2, 0, 0, 9], [0, 1, -4, 0]]
  s = _sample(v, far=3)
  assert s.unit == round(16 * (3 + 1 + 2 + 8 + 1 + 4) / 12)
  np.testing.assert_array_equal(s.sizes, np.minimum(np.abs(v), 8).reshape(-1))
  at = 2 * 4 + 3  # last row, last column; above 1 and 8, to the left 0 1 4
  log = lambda n: np.round(64 * np.log2(n))
  want = [
    1,
    log(16 * 9 + 6 * s.unit) - log(8 * s.unit),
    log(16 * 5 + 6 * s.unit) - log(9 * s.unit),
    log(16 * 4 + s.unit),
    log(16 * 1 + s.unit),
    log(16 * 0 + s.unit),
    log(16 * 1 + s.unit),
  ]
  np.testing.assert_array_equal(s.features[:, at], want)
  np.testing.assert_array_equal(s.signs, 1 + np.sign(v).reshape(-1))
  assert s.pairs[at] == 3 * 0 + 1
  assert s.pairs[at - 1] == 3 * 2 + 1


def test_a_sample_is_some_of_the_rows():
  v = np.arange(600).reshape(100, 6) % 7 - 3
  whole, part = _sample(v), _sample(v, most=200)
  rows = np.arange(0, 100, 3)
  pick = (rows[:, None] * 6 + np.arange(6)).reshape(-1)
  np.testing.assert_array_equal(part.features, whole.features[:, pick])


@pytest.mark.parametrize('cap', [8, 1])
def test_what_the_rows_tell_is_found(cap):
  rng = np.random.default_rng(0)
  scale = np.exp(rng.normal(-1, 1, (300, 1)))
  v = rng.poisson(scale, (300, 80)) * rng.choice([-1, 1], (300, 80))
  weights, saved = adaptive_fit.fit(_sample(v, cap=cap))
  assert weights[2] > 20 and np.abs(weights[[1, 3, 4]]).max() < 12
  assert saved > 0.1
  assert not weights[5:].any()
  _, nothing = adaptive_fit.fit(_sample(rng.permuted(v.reshape(-1))[None]))
  assert abs(nothing) < 0.01


def test_signs_count():
  rng = np.random.default_rng(0)
  sign = rng.choice([-1, 1], (200, 1)).repeat(60, 1)
  v = rng.integers(0, 3, (200, 60)) * sign
  assert adaptive_fit.fit(_sample(v))[1] > 0.4


@pytest.mark.parametrize('cap', [8, 1])
def test_a_nearly_empty_matrix_has_no_fit(cap):
  v = np.zeros((500, 500), int)
  v[3, :49] = 9
  assert adaptive_fit.fit(_sample(v, cap=cap)) == (None, 0.0)
  v[3, :80] = 9
  weights, _ = adaptive_fit.fit(_sample(v, cap=cap))
  assert weights is None or np.abs(weights[1:]).max() <= 127


def test_a_fit_may_start_from_one_that_is_near():
  rng = np.random.default_rng(0)
  scale = np.exp(rng.normal(-1, 1, (300, 1)))
  v = rng.poisson(scale, (300, 80)) * rng.choice([-1, 1], (300, 80))
  weights, saved = adaptive_fit.fit(_sample(v))
  start, _ = adaptive_fit.fit(_sample(v, most=3000))
  again, same = adaptive_fit.fit(_sample(v), start)
  assert (start != weights).any()
  assert np.abs(again - weights)[1:].max() <= 1
  assert abs(saved - same) < 1e-3

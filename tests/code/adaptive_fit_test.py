"""Tests of the fit of the model of neighbours."""

import numpy as np
import pytest

from jcompress.code import adaptive_fit, adaptive_sample


def _sample(v, cap=8, thin=(1, 1)):
  v = np.asarray(v)
  symbols, zero = (v - v.min()).astype(np.int16), -int(v.min())
  unit = adaptive_fit.unit_of(np.bincount(symbols.reshape(-1)), zero, cap)
  return adaptive_sample.sample(symbols, zero, cap, unit, thin=thin)


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
  start, _ = adaptive_fit.fit(_sample(v, thin=(8, 8)))
  again, same = adaptive_fit.fit(_sample(v), start)
  assert (start != weights).any()
  assert np.abs(again - weights)[1:].max() <= 1
  assert abs(saved - same) < 1e-3


def test_steps_that_lead_too_far_are_halved():
  """Whole steps go from -0.57 to 1.43 and back, the answer is between."""
  rng = np.random.default_rng(0)
  features = np.zeros((7, 4000), np.float32)
  features[0] = 1
  features[3, :1200] = 64 * np.log2(17)
  y = rng.random(4000) < np.where(features[3] > 0, 0.3, 0.09)
  s = adaptive_sample.Sample(
    np.arange(4000),
    y.astype(np.float32),
    features,
    (1 + y).astype(np.int8),
    np.full(4000, 4, np.int8),
    share=1.0,
    unit=round(16 * float(y.mean())),
    cap=1,
  )
  weights, _ = adaptive_fit.fit(s, np.array([0, 0, 0, -18, 0, 0, 0]))
  odds = lambda p: p / (1 - p)
  want = 32 * np.log(odds(y[:1200].mean()) / odds(y[1200:].mean()))
  assert abs(weights[3] - want / np.log(17)) < 1

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.arithmetic.packing import pack_signs
from jcompress.binarize.folding import fold_threshold

SUMS = np.arange(-40, 41)


def sums_of(units):
  return jnp.asarray(np.tile(SUMS[:, None], units))


def normalized_sign(s, gamma, beta, mean, deviation):
  """Exact, for a standard deviation that is a fraction."""
  g, b, m, d = map(Fraction, (gamma, beta, mean, deviation))
  return g * (int(s) - m) / d + b >= 0


def test_thresholds_by_hand():
  gamma = np.array([2.0, -2.0, 0.0, 0.0, 1.0, -1.0])
  beta = np.array([1.0, 1.0, 0.0, -1.0, 0.0, 0.0])
  mean = np.array([3.0, 3.0, 3.0, 3.0, 0.5, 0.5])
  folded = fold_threshold(gamma, beta, mean, np.full(6, 4.0), epsilon=0)
  # Where gamma is 2, s >= 2; where it is -2, s <= 4.
  extremes = [-(2**31), 2**31 - 1]
  np.testing.assert_array_equal(folded.threshold, [2, -4, *extremes, 1, 0])
  np.testing.assert_array_equal(folded.direction, [1, -1, 1, 1, 1, -1])
  assert folded.threshold.dtype == folded.direction.dtype == jnp.int32


def test_folding_is_normalization_and_sign_for_every_sum():
  rng = np.random.default_rng(0)
  units = 60
  # Quarters and eighths, so that many sums lie on the threshold itself.
  gamma = rng.integers(-6, 7, units) / 4
  beta = rng.integers(-8, 9, units) / 8
  mean = rng.integers(-60, 61, units) / 2
  deviation = rng.integers(1, 9, units) / 4
  folded = fold_threshold(gamma, beta, mean, deviation**2, epsilon=0)
  got = np.asarray(folded(sums_of(units)))
  unit_values = list(zip(gamma, beta, mean, deviation, strict=True))
  want = [[normalized_sign(s, *unit) for unit in unit_values] for s in SUMS]
  np.testing.assert_array_equal(got, want)
  assert (gamma == 0).any() and (gamma < 0).any() and 0.2 < got.mean() < 0.8


def test_random_statistics_decide_as_batch_normalization():
  rng = np.random.default_rng(1)
  gamma, beta, mean = rng.standard_normal((3, 50)) * [[1], [1], [10]]
  variance = rng.uniform(0.1, 30, 50)
  folded = fold_threshold(gamma, beta, mean, variance, 1e-3)
  scale = gamma / np.sqrt(variance + 1e-3)
  want = scale * (SUMS[:, None] - mean) + beta >= 0
  np.testing.assert_array_equal(folded(sums_of(50)), want)


def test_thresholds_out_of_range_are_clipped():
  far = np.array([1e30, -1e30, 1.0, 1.0])
  tiny = np.array([1.0, 1.0, 1e-300, -1e-300])
  folded = fold_threshold(tiny, np.full(4, 1.0), far, np.ones(4), epsilon=0)
  assert folded(jnp.array([0] * 4)).tolist() == [False, True, True, True]


def test_the_result_packs_as_signs():
  folded = fold_threshold(*np.array([[1.0], [0.0], [2.0], [1.0]]))
  assert int(pack_signs(folded(jnp.array([1, 2, 3])))[0]) == 0b110


def test_bad_statistics_are_refused():
  one = np.ones(2)
  with pytest.raises(ValueError, match='must have one shape'):
    fold_threshold(one, one, one, np.ones(3))
  with pytest.raises(ValueError, match='NaN or inf'):
    fold_threshold(one, one * np.nan, one, one)
  with pytest.raises(ValueError, match='least variance is -1'):
    fold_threshold(one, one, one, -one)

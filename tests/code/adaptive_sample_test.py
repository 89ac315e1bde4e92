"""Tests of what the model of neighbours sees."""

import numpy as np
import pytest

from jcompress.code import adaptive_fit, adaptive_sample

V = np.array([[0, 3, 0, -1], [2, 0, 0, 9], [0, 1, -4, 0]])


def sampled(v, every=1, thin=(1, 1), cap=8):
  """A sample of signed codes, the symbols, and which of them is the zero."""
  symbols = (v - v.min()).astype(np.int16)
  zero = -int(v.min())
  unit = adaptive_fit.unit_of(np.bincount(symbols.reshape(-1)), zero, cap)
  s = adaptive_sample.sample(symbols, zero, cap, unit, every, thin)
  return s, symbols, zero


def test_features_by_hand():
  s, symbols, zero = sampled(V)
  assert not s.features[5:].any()
  s = adaptive_sample.aimed(s, symbols, zero, near=1, far=3)
  assert s.unit == round(16 * (3 + 1 + 2 + 8 + 1 + 4) / 12)
  np.testing.assert_array_equal(s.at, np.arange(12))
  np.testing.assert_array_equal(s.sizes, np.minimum(np.abs(V), 8).reshape(-1))
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
  np.testing.assert_array_equal(s.signs, 1 + np.sign(V).reshape(-1))
  assert s.pairs[at] == 3 * 0 + 1
  assert s.pairs[at - 1] == 3 * 2 + 1
  assert s.share == 1


@pytest.mark.parametrize('every', [1, 4])
@pytest.mark.parametrize('thin', [(1, 1), (20, 1), (20, 3)])
def test_a_part_sees_what_the_whole_does_and_stands_for_it(every, thin):
  rng = np.random.default_rng(0)
  v = rng.integers(1, 4, (400, 90)) * (rng.random((400, 90)) < 0.1)
  whole, *_ = sampled(v)
  part, *_ = sampled(v, every, thin)
  for name in ('sizes', 'signs', 'pairs'):
    want = getattr(whole, name)[part.at]
    np.testing.assert_array_equal(getattr(part, name), want)
  np.testing.assert_array_equal(part.features, whole.features[:, part.at])
  kept = np.count_nonzero(part.sizes)
  expected = np.count_nonzero(v) / every / thin[1]
  assert abs(kept / expected - 1) < 0.2
  stands_for = part.share * (len(part.at) - kept) / kept
  assert abs(stands_for / (np.sum(v == 0) / np.count_nonzero(v)) - 1) < 0.15


def test_rows_of_a_part_have_no_period():
  v = np.ones((280, 10), int)
  v[::2] = 0
  rows = np.unique(sampled(v, every=14)[0].at // 10)
  assert len(rows) == 20 and len(set(rows % 14)) > 5


def test_every_third_of_a_sample_stands_for_three():
  s, *_ = sampled(np.arange(600).reshape(100, 6) % 7 - 3)
  third = adaptive_sample.part(s, zeros=3, others=1)
  zeros = s.sizes == 0
  assert np.count_nonzero(third.sizes) == np.count_nonzero(~zeros)
  few = np.count_nonzero(third.sizes == 0)
  assert few == -(-np.count_nonzero(zeros) // 3)
  assert third.share == np.count_nonzero(zeros) / few

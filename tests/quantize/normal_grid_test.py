from statistics import NormalDist

import numpy as np
import pytest

from jcompress.quantize.normal_grid import normal_error, normal_grid

# Upper half and squared error: Max 1960, table I.
KNOWN = {
  1: ([0.7980], 0.3634),
  2: ([0.4528, 1.510], 0.1175),
  3: ([0.2451, 0.7560, 1.344, 2.152], 0.03454),
  4: (
    [0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733],
    0.009497,
  ),
}


@pytest.mark.parametrize('bits', KNOWN)
def test_is_the_published_grid(bits):
  levels = np.array(normal_grid(bits))
  want, error = KNOWN[bits]
  np.testing.assert_allclose(levels[len(want) :], want, atol=5e-4)
  np.testing.assert_array_equal(levels, -levels[::-1])
  assert normal_error(levels) == pytest.approx(error, rel=1e-3)


def test_the_error_is_that_of_draws():
  levels = np.array(normal_grid(3))
  x = np.random.default_rng(0).standard_normal(200_000)
  off = np.abs(x[:, None] - levels).min(1)
  assert np.mean(off**2) == pytest.approx(normal_error(levels), rel=0.02)


@pytest.mark.parametrize('bits', [1, 4, 6, 8])
def test_each_level_is_the_mean_of_its_interval(bits):
  levels = np.array(normal_grid(bits))
  assert len(levels) == 2**bits and (np.diff(levels) > 0).all()
  normal = NormalDist()
  ends = [-np.inf, *(levels[1:] + levels[:-1]) / 2, np.inf]
  cdf = np.array([normal.cdf(x) for x in ends])
  pdf = np.array([normal.pdf(x) for x in ends[1:-1]])
  pdf = np.array([0, *pdf, 0])
  means = (pdf[:-1] - pdf[1:]) / np.diff(cdf)
  np.testing.assert_allclose(levels, means, atol=1e-8)


def test_bits_out_of_range_are_refused():
  with pytest.raises(ValueError, match='bits is 9'):
    normal_grid(9)

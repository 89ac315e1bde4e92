"""Tests of the tables of the model of neighbours."""

import zlib

import numpy as np
import pytest

from jcompress.code import adaptive_tables


def test_logarithms_are_the_recorded_ones():
  table = adaptive_tables.logarithms()
  assert zlib.crc32(table.astype('<i4').tobytes()) == 0x7F51DE3B
  exact = np.round(64 * np.log2(np.arange(1, 65536)))
  np.testing.assert_array_equal(table[1:], exact)
  assert table[0] == 0


@pytest.mark.parametrize('shift', [9, 10, 11])
@pytest.mark.parametrize(('cap', 'units'), [(8, (1, 19, 128)), (1, (1, 7, 16))])
def test_priors_are_odds_rounded(shift, cap, units):
  for unit in units:
    power = 2.0 ** (np.arange(-32, 32) * 2.0 ** (shift - 11))
    with np.errstate(divide='ignore'):
      odds = power * unit / (np.float64(16 - unit) if cap == 1 else 16)
    want = np.round(65536 * (1 - 1 / (1 + odds))).clip(400, 65100)
    got = adaptive_tables.priors(unit, cap, shift)
    assert got.dtype == np.int64
    np.testing.assert_allclose(got, want, atol=1)
    assert (got != want).mean() < 0.02

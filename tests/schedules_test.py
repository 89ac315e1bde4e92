import numpy as np
import pytest

from jcompress import schedules


def test_cubic_sparsity_follows_zhu_and_gupta():
  schedule = schedules.cubic_sparsity(0.9, begin=0, end=1000)
  got = [schedule(t) for t in (0, 100, 200, 500, 900, 1000, 5000)]
  want = [0, 0.2439, 0.4392, 0.7875, 0.8991, 0.9, 0.9]
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_begin_and_initial_hold_before_the_rise():
  schedule = schedules.cubic_sparsity(0.9, begin=10, end=20, initial=0.5)
  np.testing.assert_allclose([schedule(0), schedule(10)], 0.5)
  np.testing.assert_allclose(schedule(15), 0.9 - 0.4 / 8)


@pytest.mark.parametrize(
  ('final', 'begin', 'end', 'message'),
  [
    (1.1, 0, 5, 'final'),
    (0.5, 5, 5, 'begin < end'),
    (0.5, -1, 5, '0 <= begin'),
  ],
)
def test_bad_ranges_are_refused(final, begin, end, message):
  with pytest.raises(ValueError, match=message):
    schedules.cubic_sparsity(final, begin=begin, end=end)

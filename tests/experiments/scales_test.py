import pytest
from hypothesis import given
from hypothesis import strategies as st

from jcompress.experiments import scales

NUMBERS = st.floats(-1e9, 1e9).map(lambda x: x if abs(x) > 1e-9 else 0.0)


@given(st.lists(NUMBERS, min_size=1), st.integers(2, 8))
def test_round_steps_hold_zero_and_all_values(values, most):
  scale = scales.linear(values, most=most)
  tiny = 1e-6 * (scale.high - scale.low)
  assert scale.low - tiny <= min(0, *values, 0)
  assert max(0, *values, 0) <= scale.high + tiny
  assert 2 <= len(scale.ticks) <= most + 2
  assert all(0 <= scale.share(v) <= 1 for v in values)


def test_steps_are_round():
  assert scales.linear([]).ticks[-1] == 1
  assert scales.linear([97]).ticks == (0, 20, 40, 60, 80, 100)
  assert scales.linear([-1, 3]).ticks == (-1, 0, 1, 2, 3)


def test_powers_of_ten_hold_all_values_and_are_apart():
  assert scales.logarithmic([10, 10]).ticks == (10, 100)
  scale = scales.logarithmic([0.02, 5])
  assert scale.ticks == pytest.approx((0.01, 0.1, 1, 10))
  assert scale.share(0.1) == pytest.approx(1 / 3)
  assert scale.share(1e-9) == 0 and scale.share(1e9) == 1


def test_powers_far_from_one_are_short():
  scale = scales.logarithmic([1e-5, 1e5])
  labels = [scale.show(t) for t in scale.ticks]
  assert labels[:3] == ['10⁻⁵', '10⁻⁴', '0.001']
  assert labels[-2:] == ['10,000', '10⁵']

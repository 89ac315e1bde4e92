import numpy as np
import pytest

from jcompress.planning.choices import Choice
from jcompress.planning.ladder import ladder

CHOICES = [Choice('feedback', {'step': 4.0**i}) for i in range(5)]


FINEST = 1 / 8, 500.0


def measured(choice):
  """Of 800 weights: 200, 50, ... bytes, errors of a thousandth, 8, ..."""
  step = choice.settings['step']
  return choice, 200 / step, 1e-3 * step**1.5


def test_those_that_are_rounded_are_met_and_those_between_are_foretold():
  rows = ladder(CHOICES, measured, 800, FINEST)
  steps = np.array([c.settings['step'] for c, _, _ in rows])
  np.testing.assert_allclose(steps[[0, -1]], [1 / 8, 4**4])
  np.testing.assert_allclose(np.diff(np.log2(steps)), 1 / 48)
  assert {c.method for c, _, _ in rows} == {'feedback'}
  for choice, size, error in rows:
    if choice.settings['step'] >= 4:
      np.testing.assert_allclose((size, error), measured(choice)[1:], rtol=0.01)


def test_finer_steps_take_a_bit_and_make_a_quarter_of_the_error():
  finest = ladder(CHOICES, measured, 800, FINEST)[0]
  assert finest[1:] == pytest.approx((200 + 3 * 100, 1e-3 / 64))


@pytest.mark.parametrize(
  ('least', 'last'), [(0, 4**4), (49, 16.0), (50, 4.0), (300, 1.0)]
)
def test_no_step_is_tried_that_nobody_wants(least, last):
  tried = []
  ladder(CHOICES, lambda c: tried.append(c) or measured(c), 800, FINEST, least)
  assert tried[-1].settings['step'] == last


def test_what_is_lost_or_exact_ends_well():
  rows = ladder(CHOICES, lambda c: (c, 4.0, 1.0), 800, FINEST)
  assert rows[-1][0].settings['step'] == 1
  exact = ladder(CHOICES, lambda c: (c, 100.0, 0.0), 800, FINEST)
  assert all(0 <= error < 1e-20 for _, _, error in exact)


def test_the_finest_step_has_the_bytes_that_are_known():
  rows = ladder(CHOICES, measured, 800, (2**-6.0, 650.0))
  assert rows[0][0].settings['step'] == 2**-6
  assert rows[0][1:] == pytest.approx((650, 1e-3 / 4**6))
  third = next(r for r in rows if r[0].settings['step'] >= 0.125)
  assert third[1] == pytest.approx(500, rel=0.01)
  coarse = ladder(CHOICES, measured, 800, (1.5, 180.0))
  assert coarse[0][0].settings['step'] == 1

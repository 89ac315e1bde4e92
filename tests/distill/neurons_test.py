import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jcompress as jc

A, B = np.array([-2.0, 2, -2, 2]), np.array([-1.0, -1, 1, 1])


def test_a_copy_of_a_chosen_unit_is_worth_less_than_a_smaller_one():
  units = np.stack([0.9 * A, B, -A], -1)
  assert jc.distill.select_neurons(units, 2).tolist() == [1, 2]
  assert jc.distill.select_neurons(units, 2, strength=0).tolist() == [0, 2]


def test_constant_units_come_last():
  units = np.stack([np.full(4, 9.0), A, B], -1)
  assert jc.distill.select_neurons(units, 2).tolist() == [1, 2]
  silent = np.zeros((4, 2))
  assert jc.distill.select_neurons(silent, 2).tolist() == [0, 1]


def test_positions_are_examples_too():
  units = np.stack([0.9 * A, B, -A], -1).reshape(1, 2, 2, 3)
  assert jc.distill.select_neurons(units, 2).tolist() == [1, 2]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 6))
def test_units_are_distinct_and_in_order(seed, count):
  units = np.random.default_rng(seed).normal(size=(20, 6))
  got = jc.distill.select_neurons(units, count)
  assert len(got) == count and (np.diff(got) > 0).all()
  assert units.var(0).argmax() in got


def test_a_count_out_of_range_is_refused():
  with pytest.raises(ValueError, match='count is 4; it must lie in 1 .. 3'):
    jc.distill.select_neurons(np.ones((2, 3)), 4)

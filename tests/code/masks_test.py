"""Tests of masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jcompress.code import masks, streams

CODERS = ('auto', *streams.CODERS)


@settings(max_examples=30, deadline=None)
@given(
  hnp.arrays(bool, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)),
  st.sampled_from(CODERS),
)
def test_round_trip(mask, coder):
  back = masks.decode(masks.encode(mask, coder), mask.shape)
  np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize('fill', [False, True])
@pytest.mark.parametrize('coder', CODERS)
def test_a_reader_can_trust_the_length(fill, coder):
  mask = np.full((3000, 1000), fill)
  record = masks.encode(mask, coder)
  assert 3_000_000 <= streams.SYMBOLS_A_BYTE * len(record)
  assert len(record) < 400_000
  np.testing.assert_array_equal(masks.decode(record, mask.shape), mask)


def test_a_dense_mask_is_not_larger_than_its_bits():
  mask = np.random.default_rng(0).random(80_000) < 0.5
  for coder in CODERS:
    assert len(masks.encode(mask, coder)) <= 10_001


def test_a_kernel_is_a_matrix_of_its_last_axis():
  rng = np.random.default_rng(0)
  mask = rng.random((5, 5, 20, 50)) < rng.random(50) ** 4
  flat = masks.encode(mask.reshape(-1))
  assert len(masks.encode(mask)) < 0.9 * len(flat)


def test_neighbours_are_worth_something():
  rng = np.random.default_rng(0)
  line = rng.normal(-2.5, 1.5, (300, 20))
  mask = rng.random((300, 200)) < 1 / (1 + np.exp(-np.tile(line, 10)))
  record = masks.encode(mask)
  assert record[0] == 3
  assert len(record) < 0.95 * len(masks.encode(mask, neighbours=False))
  for size in range(len(record)):
    with pytest.raises(ValueError):
      masks.decode(record[:size], mask.shape)
  lie = record[:3] + b'\x02' + record[4:]
  with pytest.raises(ValueError, match='Damaged'):
    masks.decode(lie, mask.shape)


def test_damage():
  record = masks.encode(np.eye(30, dtype=bool))
  with pytest.raises(ValueError, match='symbols in'):
    masks.decode(record, (1 << 20, 1 << 20))
  with pytest.raises(ValueError, match='Unknown kind'):
    masks.decode(b'\x07' + record[1:], (30, 30))

"""Tests of gap coding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.code import sparse, streams, wire


def test_figure_of_the_paper():
  fields, is_filler = sparse.to_fields(np.array([1, 4, 15]), 3)
  np.testing.assert_array_equal(fields, [1, 2, 7, 2])
  np.testing.assert_array_equal(is_filler, [False, False, True, False])
  np.testing.assert_array_equal(sparse.to_positions(fields), [1, 4, 12, 15])


@pytest.mark.parametrize('p', [1, 3, 5, 8])
def test_a_real_entry_at_the_bound_is_no_filler(p):
  positions = np.array([0, 1 << p, (1 << p) + 1, 5 << p])
  fields, is_filler = sparse.to_fields(positions, p)
  assert fields.max() < 1 << p
  places = sparse.to_positions(fields)
  np.testing.assert_array_equal(places[~is_filler], positions)


@settings(max_examples=60, deadline=None)
@given(
  st.sets(st.integers(0, 100_000), max_size=60),
  st.sampled_from(['auto', *streams.CODERS]),
)
def test_round_trip(positions, coder):
  positions = np.array(sorted(positions), np.int64)
  record = sparse.encode(positions, coder)
  np.testing.assert_array_equal(sparse.decode(record, 100_001), positions)


@pytest.mark.parametrize('density', [0.01, 0.1, 0.5])
def test_near_the_entropy_of_independent_entries(density):
  n = 400_000
  kept = np.random.default_rng(0).random(n) < density
  p = kept.mean()
  bound = -n * (p * np.log2(p) + (1 - p) * np.log2(1 - p)) / 8
  assert len(sparse.encode(np.flatnonzero(kept))) < 1.01 * bound


def test_raw_takes_the_best_width():
  n = 20_000
  kept = np.flatnonzero(np.random.default_rng(0).random(n) < 0.08)
  sizes = []
  for p in range(1, 13):
    fields, is_filler = sparse.to_fields(kept, p)
    fields[is_filler] = 1 << p
    sizes.append(len(streams.encode_stream(fields, 'raw')))
  assert len(sparse.encode(kept, 'raw')) <= min(sizes) + 3


@pytest.mark.parametrize('coder', ['huffman', 'zstd', 'fast'])
@pytest.mark.parametrize('density', [0.005, 0.045, 0.3])
def test_each_coder_takes_the_width_that_suits_it(coder, density):
  kept = np.flatnonzero(np.random.default_rng(0).random(40_000) < density)
  sizes = []
  for p in range(1, 13):
    fields, is_filler = sparse.to_fields(kept, p)
    fields[is_filler] = 1 << p
    sizes.append(len(streams.encode_stream(fields, coder)))
  size = len(sparse.encode(kept, coder))
  assert size < 1.01 * min(sizes) + 4
  assert size <= len(sparse.encode(kept, 'raw'))


def test_damage():
  record = sparse.encode(np.array([3, 5, 1000]))
  with pytest.raises(ValueError, match='position 1000 of 1000'):
    sparse.decode(record, 1000)
  with pytest.raises(ValueError, match='fields'):
    sparse.decode(bytes([40]) + record[1:], 2000)
  lie = bytes([5]) + wire.varint(10**9) + record[2:]
  with pytest.raises(ValueError, match='fields'):
    sparse.decode(lie, 2000)

"""Tests of the choice of a coder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.code import bits, streams, wire

CODERS = ('auto', *streams.CODERS)


def _entropy(x):
  _, counts = np.unique(x, return_counts=True)
  return -(counts * np.log2(counts / counts.sum())).sum() / 8


@settings(max_examples=80, deadline=None)
@given(
  st.lists(st.integers(0, 3) | st.integers(0, 2**32 - 1), max_size=40),
  st.integers(1, 60),
  st.sampled_from(CODERS),
)
def test_round_trip(values, times, coder):
  x = np.tile(np.array(values, np.uint64), times)
  record = streams.encode_stream(x, coder)
  np.testing.assert_array_equal(streams.decode_stream(record, x.size), x)


@pytest.mark.parametrize('n', [1, 30, 3000, 200_000])
@pytest.mark.parametrize('k', [2, 32, 5000])
def test_auto_is_the_smallest(n, k):
  x = np.minimum(np.random.default_rng(n).exponential(k / 6, n), k - 1)
  x = x.astype(np.uint32)
  sizes = [len(streams.encode_stream(x, c)) for c in streams.CODERS]
  assert len(streams.encode_stream(x)) == min(sizes)
  assert min(sizes) <= n * bits.width(k - 1) / 8 + 2


@pytest.mark.parametrize('zeros', [0.0, 0.7, 0.95])
def test_long_streams_are_within_a_percent_of_entropy(zeros):
  rng = np.random.default_rng(0)
  x = np.clip(np.round(rng.laplace(0, 2, 100_000)) + 16, 0, 31).astype(np.uint8)
  x[rng.random(100_000) < zeros] = 16
  assert len(streams.encode_stream(x)) < 1.01 * _entropy(x)


def test_repetition_is_left_to_zstd():
  x = np.tile(np.random.default_rng(0).integers(0, 256, 500), 20)
  record = streams.encode_stream(x)
  assert record[0] & 7 == 3
  assert len(record) < 700


def test_tiny_streams_stay_tiny():
  assert len(streams.encode_stream(np.zeros(0, int))) <= 2
  assert len(streams.encode_stream(np.full(1000, 7))) == 2
  assert len(streams.encode_stream(np.arange(8))) == 4


@pytest.mark.parametrize('coder', CODERS)
def test_a_reader_can_trust_the_length(coder):
  x = np.zeros(5_000_000, np.uint8)
  for position in (None, 3):
    if position is not None:
      x[position] = 1
    record = streams.encode_stream(x, coder)
    assert x.size <= streams.SYMBOLS_A_BYTE * (len(record) + 1)
    np.testing.assert_array_equal(streams.decode_stream(record, x.size), x)


def test_errors():
  with pytest.raises(ValueError, match="Unknown coder 'best'"):
    streams.encode_stream(np.arange(3), 'best')
  with pytest.raises(ValueError, match='0 .. 2'):
    streams.encode_stream(np.array([-1, 2]))
  with pytest.raises(ValueError, match='0 .. 2'):
    streams.encode_stream(np.array([2**32]))


@pytest.mark.parametrize('coder', CODERS)
def test_wrong_counts_are_found(coder):
  x = np.random.default_rng(0).integers(0, 5, 1000)
  record = streams.encode_stream(x, coder)
  for n in (0, 900, 1010, 10**7, 10**12):
    with pytest.raises(ValueError):
      streams.decode_stream(record, n)


def test_damage():
  with pytest.raises(ValueError, match='Unknown coder 5'):
    streams.decode_stream(b'\x05abc', 3)
  with pytest.raises(ValueError, match='constant'):
    streams.decode_stream(b'\0\x05x', 3)
  with pytest.raises(ValueError, match='Truncated'):
    streams.decode_stream(b'', 0)
  with pytest.raises(ValueError, match='constant'):
    streams.decode_stream(b'\0' + wire.varint(2**33), 1)


def test_records_that_are_not_shorter_are_left_out():
  rng = np.random.default_rng(0)
  x = np.round(np.abs(rng.laplace(0, 3, 20_000))).astype(np.uint8)
  letters, counts = streams.histogram(x)
  record = streams.encode_stream(x)
  assert abs(streams.estimate(x) - len(record)) < 8
  shorter = lambda n: streams.shorter(x, letters, counts, n)
  assert shorter(len(record) + 9) == record
  assert shorter(int(0.9 * len(record))) is None
  again = np.tile(x[:500], 40)
  assert streams.estimate(again) > 5 * len(streams.encode_stream(again))
  assert streams.estimate(x[:0]) == streams.estimate(0 * x) == 2

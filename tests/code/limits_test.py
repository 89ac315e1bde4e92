"""Tests of the allowance."""

import threading

import pytest

from jcompress.code import limits


def test_more_entries_than_allowed_are_refused():
  limits.spend(10**12, 'array')
  with limits.at_most(10):
    limits.spend(10, 'array')
    with pytest.raises(
      ValueError, match='11 entries, where the file allows 10'
    ):
      limits.spend(11, 'array')
  limits.spend(11, 'array')


def test_many_arrays_together_are_refused():
  sums = []
  with limits.at_most(10), pytest.raises(ValueError, match='max_bytes'):
    for _ in range(16 * 10 // 9):
      limits.spend(9, 'array')
      sums.append(9)
    limits.spend(9, 'array')
  assert len(sums) == 16 * 10 // 9


def test_an_allowance_ends_with_its_block_and_is_of_its_thread():
  with limits.at_most(10):
    with limits.at_most(3), pytest.raises(ValueError):
      limits.spend(5, 'array')
    limits.spend(5, 'array')
    other = threading.Thread(target=limits.spend, args=(100, 'array'))
    other.start()
    other.join()

"""Tests of the writer of the rANS stream."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.code import adaptive_words

event = st.integers(1, 4096).flatmap(
  lambda share: st.tuples(st.just(share), st.integers(0, 4096 - share))
)


@settings(max_examples=50, deadline=None)
@given(st.lists(event, max_size=60))
def test_a_reader_by_hand_finds_each_event(events):
  packed = np.array([f << 16 | s for f, s in events], np.uint32)
  words = np.zeros(len(events) + 2, np.uint16)
  rest = words[adaptive_words.to_words(packed, words) :].tolist()
  x = rest.pop(0) << 16 | rest.pop(0)
  for share, start in events:
    slot = x % 4096
    assert start <= slot < start + share
    x = share * (x // 4096) + slot - start
    if x < 1 << 16:
      x = x << 16 | rest.pop(0)
  assert x == 1 << 16 and not rest


def test_ideal_length():
  rng = np.random.default_rng(0)
  shares = rng.integers(1, 4096, 5000)
  words = np.zeros(5002, np.uint16)
  at = adaptive_words.to_words((shares << 16).astype(np.uint32), words)
  ideal = (12 - np.log2(shares)).sum() / 16
  assert ideal < 5002 - at < ideal + 4

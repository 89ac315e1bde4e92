"""Tests of plain values."""

import tracemalloc

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.code import plain

SCALARS = (
  st.none()
  | st.booleans()
  | st.integers(-(2**63), 2**64 - 1)
  | st.floats(allow_nan=False)
  | st.text(max_size=5)
  | st.binary(max_size=5)
)
VALUES = st.recursive(
  SCALARS,
  lambda x: (
    st.lists(x, max_size=4)
    | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), x, max_size=4)
  ),
  max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_round_trip(value):
  back = plain.loads(plain.dumps(value, 'value'), 'value')
  assert back == value
  assert repr(back) == repr(value)


@pytest.mark.parametrize(
  'value',
  [(1,), {1.5: 1}, {True: 1}, np.float32(1), {'a': [{1, 2}]}, 2**64, '\ud800'],
)
def test_refuses_what_would_not_come_back(value):
  with pytest.raises(ValueError, match='value'):
    plain.dumps(value, 'value')


def test_refuses_depth():
  deep = []
  for _ in range(plain.DEPTH + 1):
    deep = [deep]
  with pytest.raises(ValueError, match='deeper'):
    plain.dumps(deep, 'value')
  with pytest.raises(ValueError, match='deeper'):
    plain.loads(msgpack.packb(deep), 'value')


@pytest.mark.parametrize(
  'data',
  [
    b'',
    b'\x92\x01',
    b'\xdd\xff\xff\xff\xff',
    b'\xdf\xff\xff\xff\xff',
    b'\xc6\xff\xff\xff\xff',
    b'\xdb\xff\xff\xff\xff',
    b'\x82\x01\x01\x01\x02',
    b'\x81\xc0\x01',
    b'\xd4\x01\x01',
    b'\xc1',
    b'\x01\x01',
    b'\xa1\xff',
  ],
)
def test_refuses_damage(data):
  with pytest.raises(ValueError, match='Damaged value'):
    plain.loads(data, 'value')


def test_nested_lies_allocate_nothing():
  size = (1 << 20).to_bytes(4, 'big')
  bomb = (b'\xdd' + size) * 60 + b'\xc6' + size + b'\0' * (1 << 20)
  tracemalloc.start()
  with pytest.raises(ValueError):
    plain.loads(bomb, 'value')
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 5 * len(bomb)

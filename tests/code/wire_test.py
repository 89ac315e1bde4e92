"""Tests of the byte cursor."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.code import wire


def test_varint_by_hand():
  assert wire.varint(0) == b'\0'
  assert wire.varint(127) == b'\x7f'
  assert wire.varint(300) == b'\xac\x02'


def test_small_integers_of_both_signs_take_a_byte():
  assert [wire.signed(x)[0] for x in (0, -1, 1, -64, 63)] == [0, 1, 2, 127, 126]
  assert len(wire.signed(64)) == len(wire.signed(-65)) == 2


@settings(max_examples=100, deadline=None)
@given(st.integers(-wire.LIMIT // 2, wire.LIMIT // 2 - 1))
def test_signed_round_trip(value):
  reader = wire.Reader(wire.signed(value), 'test')
  assert reader.signed() == value
  reader.end()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, wire.LIMIT - 1), st.binary(max_size=9))
def test_round_trip(value, data):
  reader = wire.Reader(wire.varint(value) + wire.prefixed(data), 'test')
  assert reader.varint() == value
  assert reader.prefixed() == data
  reader.end()


@pytest.mark.parametrize('value', [-1, wire.LIMIT])
def test_no_varint_beyond_the_limit(value):
  with pytest.raises(ValueError, match='varint'):
    wire.varint(value)


def test_reads_never_pass_the_end():
  reader = wire.Reader(b'\x05ab', 'test')
  with pytest.raises(ValueError, match='Truncated test: 5 bytes wanted, 2'):
    reader.prefixed()
  with pytest.raises(ValueError, match='Truncated'):
    wire.Reader(b'\x80', 'test').varint()
  with pytest.raises(ValueError, match='beyond'):
    wire.Reader(b'\xff' * 9, 'test').varint()
  with pytest.raises(ValueError, match='2 bytes too many'):
    wire.Reader(b'ab', 'test').end()

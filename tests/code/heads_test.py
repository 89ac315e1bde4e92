"""Tests of types and shapes as bytes."""

import numpy as np
import pytest

from jcompress.code import heads, wire

INT8 = np.dtype('int8')


def _reader(data):
  return wire.Reader(bytes.fromhex(data), 'test')


def test_by_hand():
  assert heads.write(INT8, (6, 300), 3).hex() == '610206ac02'
  assert heads.read(_reader('610206ac02')) == (INT8, (6, 300), 3)
  assert heads.write(np.dtype('float32'), ()).hex() == '0b00'


def test_a_shape_that_is_stated_is_not_written():
  assert heads.write_codes(INT8, (6, 4), (6, 4)).hex() == '21'
  assert heads.write_codes(INT8, (), ()).hex() == '21'
  for stated in (None, (4, 6), (24,), ()):
    assert heads.write_codes(INT8, (6, 4), stated).hex() == '01020604'
    assert heads.read_codes(_reader('01020604'), stated) == (INT8, (6, 4))
  reader = _reader('210204')
  assert heads.read_codes(reader, (7,)) == (INT8, (7,)) and reader.left() == 2


@pytest.mark.parametrize(
  'data, stated, message',
  [
    ('21', None, 'no shape'),
    ('410106', (6,), 'no shape'),
    ('1a0106', (6,), 'dtype 26'),
    ('0121', None, '33 axes'),
    ('01018080808008', None, 'impossible shape'),
    ('0102', None, 'Truncated'),
    ('', (6,), 'Truncated'),
  ],
)
def test_what_it_cannot_have_written_is_refused(data, stated, message):
  with pytest.raises(ValueError, match=message):
    heads.read_codes(_reader(data), stated)

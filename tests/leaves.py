"""Encoded leaves to bytes and back."""

import numpy as np

from jcompress.code import layouts


def round_trip(leaf, coder='auto'):
  """An encoded leaf, written and read."""
  record = layouts.encode(leaf, coder, 'w')
  return layouts.decode(record, type(leaf).__name__)


def assert_same(a, b):
  """Both decode to the same bits."""
  a, b = np.asarray(a.decode()), np.asarray(b.decode())
  assert a.dtype == b.dtype and a.shape == b.shape
  assert a.tobytes() == b.tobytes()

"""Encoded leaves to bytes and back, and one at random."""

import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.code import layouts
from jcompress.encoded import Product


def round_trip(leaf, coder='auto'):
  """An encoded leaf, written and read."""
  record = layouts.encode(leaf, coder, 'w')
  return layouts.decode(record, type(leaf).__name__)


def assert_same(a, b):
  """Both decode to the same bits."""
  a, b = np.asarray(a.decode()), np.asarray(b.decode())
  assert a.dtype == b.dtype and a.shape == b.shape
  assert a.tobytes() == b.tobytes()


def assert_damage_is_harmless(leaf, fits, most=None):
  """A changed bit or a lost end of a record gives an error or a whole leaf.

  Args:
    leaf: whose record is damaged.
    fits: whether a leaf that was read is one, by its decoded array.
    most: how many of the bytes, the first; all if not given.
  """
  kind, record = type(leaf).__name__, layouts.encode(leaf, 'auto', 'w')
  rng = np.random.default_rng(0)
  refused = 0
  for i in range(len(record))[:most]:
    bad = bytearray(record)
    bad[i] ^= 1 << rng.integers(8)
    try:
      found = layouts.decode(bytes(bad), kind)
    except ValueError:
      refused += 1
    else:
      assert fits(found, found.decode())
  assert refused > 5
  for size in range(len(record)):
    with pytest.raises(ValueError):
      layouts.decode(record[:size], kind)


def random_product(shape, axis, *, stages=1, k=5, length=3, dtype=jnp.float32):
  rng = np.random.default_rng(0)
  blocks = -(-shape[axis] // length)
  others = shape[:axis] + shape[axis + 1 :]
  centers = rng.standard_normal((stages, blocks, k, length))
  codes = rng.integers(0, k, (stages, *others, blocks))
  codes = jnp.asarray(codes, jnp.uint8)
  return Product(jnp.asarray(centers, dtype), codes, axis, shape)

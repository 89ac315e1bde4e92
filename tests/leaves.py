"""Encoded leaves to bytes and back, and one at random."""

import jax.numpy as jnp
import numpy as np

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


def random_product(shape, axis, *, stages=1, k=5, length=3, dtype=jnp.float32):
  rng = np.random.default_rng(0)
  blocks = -(-shape[axis] // length)
  others = shape[:axis] + shape[axis + 1 :]
  centers = rng.standard_normal((stages, blocks, k, length))
  codes = rng.integers(0, k, (stages, *others, blocks))
  codes = jnp.asarray(codes, jnp.uint8)
  return Product(jnp.asarray(centers, dtype), codes, axis, shape)

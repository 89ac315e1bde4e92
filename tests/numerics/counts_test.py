from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.numerics import counts
from jcompress.numerics.counts import (
  count_above,
  count_dtype,
  count_rows,
  count_true,
  nearest_share,
)


@pytest.mark.parametrize(
  ('share', 'count', 'want'),
  [
    (0.05, 210, 10),  # 10.5 of the decimal, and even
    (0.5, 75, 38),
    (0.5, 73, 36),
    (0.9, 2**24 + 1, 15_099_495),
    (0.9, 3_000_000_000, 2_700_000_000),
    (1.0, 2**38, 2**38),
    (0.0, 2**31, 0),
    (2.0**-126, 2**38, 0),
  ],
)
def test_shares_are_those_of_exact_numbers(share, count, want):
  found = nearest_share(jnp.float32(share), count)
  assert int(found) == want and found.dtype == count_dtype(count)


def test_what_is_no_decimal_counts_as_the_float_that_it_is():
  for share in np.random.default_rng(0).random(20, np.float32) * 0.1:
    for count in (2**24 + 1, 2**35 + 1):
      want = round(Fraction(float(share)) * count)
      decimal = round(share.astype(np.float64) * 1e7) / 1e7
      if np.float32(decimal) != share:
        assert int(nearest_share(jnp.asarray(share), count)) == want


def test_traced_and_mapped_it_is_the_same():
  shares, count = jnp.float32([0.9, 0.123]), 2**24 + 1
  one_by_one = [int(nearest_share(s, count)) for s in shares]
  mapped = jax.jit(jax.vmap(lambda s: nearest_share(s, count)))(shares)
  assert mapped.tolist() == one_by_one
  counted = nearest_share(0.3, jnp.int32(15))
  assert counted == 4 and counted.dtype == jnp.int32


@pytest.mark.parametrize(
  'shape', [(), (0,), (5, 0), (7,), (3, 4097), (2, 3, 5)]
)
def test_counts_are_those_of_numpy_in_rows_of_any_length(shape):
  x = np.random.default_rng(0).integers(0, 9, shape).astype(np.int32)
  assert count_true(jnp.asarray(x > 2)) == np.sum(x > 2)
  rows = count_rows(jnp.asarray(x > 2))
  want = np.sum(x > 2, axis=-1) if shape else x > 2
  np.testing.assert_array_equal(rows, want)
  for ends in [(0, 0), (2, 6), (3, 3), (5, 9)]:
    bounds = tuple(map(jnp.int32, ends))
    pair = count_above(jnp.asarray(x), bounds, jnp.int32)
    assert [int(n) for n in pair] == [np.sum(x >= b) for b in ends]


def test_rows_that_a_float32_cannot_count_are_counted_in_integers(monkeypatch):
  full = jnp.ones((2, 4095), bool)
  one = jnp.int32(1)
  pair = count_above(full.astype(jnp.int32), (one, one), jnp.int32)
  assert pair == (8190, 8190)
  monkeypatch.setattr(counts, '_EXACT', 3)
  text = str(jax.make_jaxpr(count_rows)(jnp.ones((2, 4), bool)))
  assert 'f32' not in text
  assert 'f32' in str(jax.make_jaxpr(count_rows)(jnp.ones((2, 3), bool)))

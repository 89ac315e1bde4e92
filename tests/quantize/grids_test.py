import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jcompress.quantize.grids import (
  GRIDS,
  find_grid,
  nearest_codes,
  normal_floats,
  shared_exponents,
  small_floats,
)

# Dettmers et al. 2023, arXiv 2305.14314, appendix E.
NF4 = (
  *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
  *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
  *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634),
  *(0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
  *(0.7229568362236023, 1.0),
)
FLOATS = {
  'e2m1': ml_dtypes.float4_e2m1fn,
  'e2m3': ml_dtypes.float6_e2m3fn,
  'e3m2': ml_dtypes.float6_e3m2fn,
  'e4m3': ml_dtypes.float8_e4m3fn,
  'e5m2': ml_dtypes.float8_e5m2,
}


def test_normal_floats_are_the_published_ones():
  np.testing.assert_allclose(normal_floats(), NF4, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize(
  ('kind', 'count', 'largest', 'least'),
  [
    ('e2m1', 15, 6, 0.5),
    ('e2m3', 63, 7.5, 0.125),
    ('e3m2', 63, 28, 0.0625),
    ('e4m3', 253, 448, 2.0**-9),
    ('e5m2', 247, 57344, 2.0**-16),
  ],
)
def test_small_floats(kind, count, largest, least):
  values = small_floats(kind)
  assert len(values) == count and values[-1] == largest
  middle = count // 2
  np.testing.assert_array_equal(values[middle : middle + 2], [0, least])
  assert not np.signbit(values[middle])
  np.testing.assert_array_equal(values, -values[::-1])
  assert (np.diff(values) > 0).all()


@pytest.mark.parametrize('kind', FLOATS)
def test_codes_are_those_of_a_cast(kind):
  values = small_floats(kind)
  rng = np.random.default_rng(0)
  x = rng.standard_normal(4000) * np.exp2(rng.uniform(-18, 18, 4000))
  middles = (values[1:].astype(float) + values[:-1]) / 2
  x = np.concatenate([x, values, middles]).astype(np.float32)
  x = np.clip(x, values[0], values[-1])
  got = values[np.asarray(nearest_codes(jnp.asarray(x), values))]
  np.testing.assert_array_equal(got, x.astype(FLOATS[kind]).astype(np.float32))


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20))
def test_codes_are_of_the_nearest_value(x):
  x, values = np.float32(x), normal_floats()
  codes = np.asarray(nearest_codes(jnp.asarray(x), values))
  off = np.abs(x[:, None].astype(float) - values)
  got = off[np.arange(len(x)), codes]
  np.testing.assert_allclose(got, off.min(1), rtol=1e-6)


@pytest.mark.parametrize(
  ('largest', 'kind', 'want'),
  [
    (6.0, 'e2m1', 0),
    (7.99, 'e2m1', 0),
    (8.0, 'e2m1', 1),
    (3.99, 'e2m1', -1),
    (448.0, 'e4m3', 0),
    (1.0, 'e5m2', -15),
    (0.0, 'e2m1', 0),
    (2.0**-126, 'e2m1', -126),
    (3e38, 'e3m2', 123),
  ],
)
def test_shared_exponents(largest, kind, want):
  got = shared_exponents(jnp.float32([largest]), small_floats(kind))
  assert got.dtype == jnp.int8 and got[0] == want


def test_every_name_has_a_grid():
  for name in GRIDS:
    grid = find_grid(name)
    assert grid.values.dtype == np.float32 and len(grid.values) <= 256
    assert grid.is_mx == name.startswith('mx') == (grid.block == 32)
  with pytest.raises(ValueError, match="'int4'; it must be one of nf4, fp4"):
    find_grid('int4')

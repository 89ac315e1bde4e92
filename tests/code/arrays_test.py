"""Tests of single arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.code import arrays, heads, streams

SHAPES = [(), (0,), (3, 0, 2), (1,), (7, 5), (300,)]


def _values(name, shape):
  dtype = jnp.dtype(name)
  x = np.random.default_rng(0).normal(0, 3, shape)
  x = np.clip(np.asarray(x), -7, 7).astype(np.float32)
  if name == 'bool':
    return np.asarray(x > 1)
  if name == 'float8_e8m0fnu':  # powers of two, no zero
    x = np.abs(x) + 1
  return np.asarray(np.abs(x) if name.startswith('u') else x).astype(dtype)


@pytest.mark.parametrize('name', heads.DTYPES)
@pytest.mark.parametrize('coder', ['auto', *streams.CODERS])
def test_round_trip(name, coder):
  for shape in SHAPES:
    x = _values(name, shape)
    arrays.check(x, 'w')
    back = arrays.decode(arrays.encode(x, coder))
    assert back.dtype == x.dtype and back.shape == x.shape
    assert back.tobytes() == x.tobytes()


@pytest.mark.parametrize(
  'x',
  [
    np.array([-(2**63), 2**63 - 1]),
    np.array([0, 2**64 - 1], np.uint64),
    np.array([2**64 - 1], np.uint64),
    np.array([-128, 127], np.int8),
    np.array([0.0, -0.0, 1e-45, -3e38], np.float32),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(24)[::-2].reshape(3, 4).T,
  ],
)
def test_extremes(x):
  back = arrays.decode(arrays.encode(x))
  assert back.tobytes() == x.tobytes() and back.dtype == x.dtype


def test_exponents_are_cheaper_than_raw():
  x = np.random.default_rng(0).normal(0, 0.1, 300).astype(np.float32)
  assert len(arrays.encode(x)) < 0.9 * x.nbytes
  assert len(arrays.encode(x, 'raw')) == x.nbytes + 4


def test_few_distinct_values_are_listed():
  x = np.random.default_rng(0).choice([-1.5, 0.25, 7.0], 4000)
  assert len(arrays.encode(x.astype(np.float32))) < 4000 * 1.6 / 8 + 30


def test_a_constant_array_is_almost_nothing():
  x = np.full((1000, 1000), 1.5, np.float32)
  record = arrays.encode(x)
  assert len(record) < 40
  assert x.size <= streams.SYMBOLS_A_BYTE * len(record)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
  'name', ['float16', 'bfloat16', 'float32', 'float64', 'float8_e5m2']
)
def test_nan_and_inf_are_refused(bad, name):
  x = np.array([1, bad, 2]).astype(jnp.dtype(name))
  with pytest.raises(ValueError, match='fc1/kernel has NaN or inf'):
    arrays.check(x, 'fc1/kernel')


def test_other_dtypes_are_refused():
  for x in (np.ones(2, complex), np.array(['a']), np.array([None])):
    with pytest.raises(ValueError, match='fc1/kernel has dtype'):
      arrays.check(x, 'fc1/kernel')


def test_dtypes_survive_without_x64():
  x = arrays.to_device(np.array([1.5]))
  assert isinstance(x, np.ndarray) and x.dtype == np.float64
  y = arrays.to_device(np.array([1.5], np.float32))
  assert isinstance(y, jax.Array) and y.dtype == jnp.float32


def test_damage():
  record = arrays.encode(np.arange(12, dtype=np.float32).reshape(3, 4))
  for shape in ((3, 5), (4, 4), (0, 4), (1 << 20, 1 << 20)):
    with pytest.raises(ValueError):
      way = record[0] >> 5
      head = heads.write(np.dtype('float32'), shape, way)
      arrays.decode(head + record[4:])
  with pytest.raises(ValueError, match='axes'):
    arrays.decode(bytes([record[0], 77]) + record[2:])
  with pytest.raises(ValueError, match='dtype'):
    arrays.decode(bytes([31, 1]) + record[2:])
  with pytest.raises(ValueError, match='impossible shape'):
    arrays.decode(heads.write(np.dtype('int8'), (1 << 40,)) + b'\0')
  with pytest.raises(ValueError, match='is not int8'):
    arrays.decode(heads.write(np.dtype('int8'), (1,), 4) + b'\x90\x03\0\0')

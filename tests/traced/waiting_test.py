import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jcompress.traced.waiting import after, anew, signal

ALL = np.arange(256, dtype=np.uint8)
ARRAYS = {
  'float32': np.array([-0.0, np.nan, np.inf, 1e-45, -3.5], np.float32),
  'bfloat16': np.tile(ALL, 2).view(ml_dtypes.bfloat16),
  'float8': ALL.view(ml_dtypes.float8_e4m3fn),
  'int8': ALL.view(np.int8),
  'uint4': np.arange(16).astype(ml_dtypes.uint4),
  'int2': np.array([-2, -1, 0, 1], ml_dtypes.int2),
  'bool': np.array([True, False]),
}


@pytest.mark.parametrize('x', ARRAYS.values(), ids=ARRAYS)
def test_arrays_wait_without_a_bit_changed(x):
  got = np.asarray(after({'x': x}, signal([jnp.full(3, -1)]))['x'])
  assert got.dtype == x.dtype and got.tobytes() == x.tobytes()


@pytest.mark.parametrize('x', ARRAYS.values(), ids=ARRAYS)
def test_a_signal_is_zero_whatever_is_waited_for(x):
  assert [int(signal([one])) for one in x[:8]] == [0] * len(x[:8])


def test_a_signal_is_zero_where_all_bits_are_set():
  assert signal([jnp.array(-1), jnp.array([2**32 - 1], jnp.uint32)]) == 0
  with jax.enable_x64(True):
    assert signal([jnp.array([-1, 3], jnp.int64)]) == 0


def test_nothing_and_keys_are_not_waited_for():
  keys = jax.random.split(jax.random.key(0), 2)
  assert signal([]) == signal([keys, jnp.zeros((0, 3))]) == 0
  got = after(keys, signal([]))
  np.testing.assert_array_equal(
    jax.random.key_data(got), jax.random.key_data(keys)
  )


def test_a_batch_has_one_signal_and_what_waits_stays_one():
  run = lambda x: after(jnp.ones(3, jnp.int8), signal([x]))
  got = jax.vmap(run, out_axes=None)(jnp.ones((5, 2)))
  np.testing.assert_array_equal(got, 1)


def test_a_signal_has_no_derivative():
  f = lambda x: (after(x, signal([x])) * x).sum()
  np.testing.assert_array_equal(
    jax.grad(lambda x: f(x) * 0 + x[0])(jnp.ones(2)), [1, 0]
  )


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_what_a_loop_computes_anew_is_not_kept(dtype):
  """Twice as many arrays take no more memory on the way, but for copies."""

  def passes(arrays):
    def body(i, total):
      for x in arrays:
        x = anew(x, signal([i, total]))
        y = jnp.abs(x.astype(jnp.float32)) * 3
        total += jnp.sum(y > i, dtype=jnp.int32)
      return total

    return jax.lax.fori_loop(0, 4, body, jnp.int32(0))

  def kept(count):
    arrays = [jax.ShapeDtypeStruct((128, 128), dtype)] * count
    found = jax.jit(passes).lower(arrays).compile().memory_analysis()
    return found.temp_size_in_bytes

  copies = 4 * 128 * 128 * 2 if dtype != 'float32' else 0
  assert kept(8) <= kept(4) + copies + 1000
  x = jnp.asarray([-2.0, 0.5, jnp.nan, -0.0], dtype)
  found = anew(x, signal([x]))
  np.testing.assert_array_equal(
    np.asarray(found).view('uint8'), np.asarray(x).view('uint8')
  )

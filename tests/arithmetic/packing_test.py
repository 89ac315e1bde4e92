import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jcompress.arithmetic.packing import pack_signs, unpack_signs


def packed_by_loops(x, axis):
  rows = np.moveaxis(np.asarray(x), axis, -1)
  words = np.zeros((*rows.shape[:-1], -(-rows.shape[-1] // 32)), np.uint32)
  for i in range(rows.shape[-1]):
    bit = (rows[..., i] >= 0).astype(np.uint32) << np.uint32(i % 32)
    words[..., i // 32] |= bit
  return np.moveaxis(words, -1, axis)


@pytest.mark.parametrize(
  ('shape', 'axis'), [((70,), 0), ((3, 33), -1), ((64, 2), 0), ((2, 5, 3), 1)]
)
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_bits_are_those_of_a_loop(shape, axis, dtype):
  x = jax.random.normal(jax.random.key(0), shape, dtype)
  want = packed_by_loops(x.astype(jnp.float32), axis)
  np.testing.assert_array_equal(pack_signs(x, axis), want)
  np.testing.assert_array_equal(pack_signs(x >= 0, axis), want)


def test_both_zeros_are_plus_one_and_nan_is_not():
  x = jnp.array([0.0, -0.0, jnp.nan, -1e-30, jnp.inf])
  assert int(pack_signs(x)[0]) == 0b10011


@hypothesis.given(
  st.lists(st.integers(0, 40), min_size=1, max_size=3), st.data()
)
@hypothesis.settings(max_examples=8)
def test_unpacking_gives_the_signs_back(shape, data):
  axis = data.draw(st.integers(-len(shape), len(shape) - 1))
  x = np.random.default_rng(0).standard_normal(shape)
  x = jnp.asarray(x, jnp.float16)
  back = unpack_signs(pack_signs(x, axis), shape[axis], axis, jnp.float16)
  assert back.dtype == jnp.float16
  np.testing.assert_array_equal(back, np.where(x >= 0, 1, -1))


@pytest.mark.parametrize('size', [-1, 0, 32, 65])
def test_sizes_of_other_words_are_refused(size):
  with pytest.raises(ValueError, match='do not take 2 words'):
    unpack_signs(jnp.zeros(2, jnp.uint32), size)

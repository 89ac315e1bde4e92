import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_same, random_product

import jcompress as jc
from jcompress.encoded import (
  Blocks,
  Codebook,
  Dense,
  Quantized,
  Scaled,
  Stacked,
  packed,
)


def codebook(k):
  codes = jnp.arange(15, dtype=jnp.uint8).reshape(3, 5) % k
  return Codebook(jnp.linspace(-1, 1, k), codes)


def quantized(low, high):
  codes = jnp.array([[low, 0, high]], jnp.int16)
  return Quantized(codes, jnp.array([[0.5, 0.25, 2]]), jnp.array([[1, 0, 2]]))


@pytest.mark.parametrize(
  'leaf, dtype',
  [
    (codebook(4), 'uint2'),
    (codebook(5), 'uint4'),
    (codebook(16), 'uint4'),
    (codebook(17), 'uint8'),
    (quantized(-2, 1), 'int2'),
    (quantized(-8, 7), 'int4'),
    (quantized(0, 15), 'uint4'),
    (quantized(-9, 7), 'int8'),
    (quantized(-300, 7), 'int16'),
    (random_product((6, 4), 0), 'uint4'),
    (Quantized(jnp.zeros((0, 2), jnp.int8), jnp.ones(())), 'uint2'),
    (Blocks(jnp.ones((2, 4), jnp.uint8), jnp.ones(()), jnp.ones(9)), 'uint4'),
  ],
)
def test_codes_take_what_they_need_and_decode_the_same(leaf, dtype):
  got = packed(leaf)
  assert got.codes.dtype == dtype
  assert_same(got, leaf)
  assert jc.bits(got) == jc.bits(leaf)


def test_leaves_inside_leaves_are_packed_and_others_left():
  stacked = Stacked((codebook(4), codebook(7)), (0,), (2,))
  scaled = Scaled(codebook(3), jnp.full((3, 1), 2.0))
  dense = Dense(jnp.ones(2))
  tree = {'a': stacked, 'b': scaled, 'c': dense, 'd': np.ones(3)}
  got = packed(tree)
  assert [p.codes.dtype for p in got['a'].parts] == ['uint2', 'uint4']
  assert got['b'].part.codes.dtype == 'uint2'
  assert got['c'] is dense and got['d'] is tree['d']
  assert packed(got)['a'].parts[0] is got['a'].parts[0]
  for name in 'ab':
    assert_same(got[name], tree[name])


def test_a_program_holds_two_codes_to_a_byte():
  leaf = Codebook(jnp.ones(16), jnp.zeros((64, 64), jnp.uint8))
  compiled = jax.jit(jc.decode).lower(packed(leaf)).compile()
  assert compiled.memory_analysis().argument_size_in_bytes == 64 * 64 / 2 + 64


def test_values_are_wanted():
  with pytest.raises(ValueError, match='outside of jit'):
    jax.jit(packed)(quantized(-1, 1))
  with pytest.raises(ValueError, match='Not an encoded tree'):
    packed({'w': jnp.ones(2)})

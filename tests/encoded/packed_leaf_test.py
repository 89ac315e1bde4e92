import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from leaves import assert_same, random_product

import jcompress as jc
from jcompress.encoded import (
  Blocks,
  Codebook,
  Dense,
  Layered,
  Quantized,
  Scaled,
  Signs,
  Sparse,
  Stacked,
  packed,
)

EMPTY = jnp.zeros((0, 2), jnp.int8)
MASK = jnp.array([[True, False, True]])


def codebook(k):
  codes = jnp.arange(15, dtype=jnp.uint8).reshape(3, 5) % k
  return Codebook(jnp.linspace(-1, 1, k), codes)


def quantized(low, high):
  codes = jnp.array([[low, low, high]], jnp.int16)
  return Quantized(codes, jnp.array([[0.5, 0.25, 2]]), jnp.array([[1, 0, 2]]))


@pytest.mark.parametrize(
  'leaf, each',
  [
    (codebook(2), 1),
    (codebook(4), 2),
    (codebook(5), 4),
    (codebook(16), 4),
    (quantized(-1, 0), 1),
    (quantized(-2, 1), 2),
    (quantized(-8, 7), 4),
    (quantized(300, 315), 4),
    (random_product((6, 4), 0), 4),
    (Quantized(EMPTY, jnp.ones(())), 1),
    (Blocks(jnp.ones((2, 4), jnp.uint8), jnp.ones(()), jnp.ones(9)), 4),
    (Signs(MASK, jnp.array(0.5)), 1),
    (Sparse(jnp.array([[1.0, 2, 3]]), MASK), 1),
  ],
)
def test_codes_take_what_they_need_and_decode_the_same(leaf, each):
  got = packed(leaf)
  codes = getattr(leaf, got.field)
  assert got.each == each and got.packed.size == -(-codes.size * each // 8)
  assert_same(got, leaf)
  assert jc.bits(got) == jc.bits(leaf)
  back = getattr(got.unpacked(), got.field)
  assert back.dtype == codes.dtype
  np.testing.assert_array_equal(back, codes)


@pytest.mark.parametrize('leaf', [codebook(17), quantized(-8, 8)])
def test_more_values_stay_as_they_are(leaf):
  assert packed(leaf) is leaf


def test_leaves_inside_leaves_are_packed_and_others_left():
  stacked = Stacked((codebook(4), codebook(7)), (0,), (2,))
  scaled = Scaled(codebook(3), jnp.full((3, 1), 2.0))
  dense = Dense(jnp.ones(2))
  tree = {'a': stacked, 'b': scaled, 'c': dense, 'd': np.ones(3)}
  got = packed(tree)
  assert [part.each for part in got['a'].parts] == [4, 4]
  assert got['b'].part.each == 2
  assert got['c'] is dense and got['d'] is tree['d']
  for name in 'ab':
    assert_same(got[name], tree[name])
  again = packed(got)
  assert jax.tree.structure(again) == jax.tree.structure(got)


def test_layers_of_one_form_are_held_together():
  parts = quantized(0, 9), quantized(-1, 1), quantized(-7, 7), quantized(3, 3)
  square = Stacked((*parts[1:], parts[1]), (0, 2), (2, 2))
  got = packed(square)
  assert isinstance(got, Layered) and got.part.packed.shape == (4, 2)
  assert_same(got, square)
  wide = Stacked(parts, (1,), (4,))
  got = packed(wide)
  assert got.part.codes.shape == (4, 1, 3) and got.part.codes.dtype == 'int16'
  assert_same(got, wide)
  assert jc.bits(got) == jc.bits(wide)


def test_the_same_file_is_written_and_tied_leaves_stay_tied():
  shared = codebook(7)
  layers = Stacked((codebook(4), codebook(5)), (0,), (2,))
  tree = {
    'a': shared,
    'b': shared,
    'codes': Codebook(shared.centers, shared.codes[1:]),
    'layers': layers,
    'same': Stacked((quantized(-1, 3),) * 2, (0,), (2,)),
    'scaled': Scaled(codebook(3), jnp.full((3, 1), 2.0)),
  }
  got = packed(tree)
  assert got['a'] is got['b']
  assert jc.pack(got) == jc.pack(tree)
  assert jc.bits(got) == jc.bits(tree)


def test_layers_of_64_bits_stay_apart():
  stacked = Stacked((Dense(np.ones(2)),) * 2, (0,), (2,))
  assert packed(stacked) is stacked


def test_a_program_holds_two_codes_to_a_byte():
  leaf = Codebook(jnp.ones(16), jnp.zeros((64, 64), jnp.uint8))
  compiled = jax.jit(jc.decode).lower(packed(leaf)).compile()
  assert compiled.memory_analysis().argument_size_in_bytes == 64 * 64 / 2 + 64


def test_values_are_wanted():
  with pytest.raises(ValueError, match='outside of jit'):
    jax.jit(packed)(quantized(-1, 1))
  with pytest.raises(ValueError, match='Not an encoded tree'):
    packed({'w': jnp.ones(2)})


def test_sharded_codes_are_packed():
  mesh = jax.make_mesh((8,), ('d',), axis_types=(AxisType.Explicit,))
  codes = jnp.arange(16, dtype=jnp.int8).reshape(2, 8)
  split = jax.device_put(codes, NamedSharding(mesh, PartitionSpec(None, 'd')))
  got = packed(Quantized(split, jnp.array(2.0)))
  np.testing.assert_array_equal(got.decode(), 2 * codes)

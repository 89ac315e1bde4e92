import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded

WIDE = {
  'int64': np.array([2**40, -5, 2**31]),
  'uint64': np.array([2**63 + 1], np.uint64),
  'float64': np.array([1e300, 1 / 3]),
}


@pytest.mark.parametrize('name', WIDE)
def test_64_bit_numbers_come_back_exactly_without_64_bit_types(name):
  read = jc.decode(jc.unpack(jc.pack({'n': WIDE[name]})).tree)['n']
  assert read.dtype == name
  np.testing.assert_array_equal(read, WIDE[name])


def test_any_kind_of_leaf_of_64_bit_numbers_is_decoded_in_64_bits():
  third = np.array([1 / 3, 1e300])
  codes = np.array([[0, 1], [1, 0]], np.uint8)
  tree = {
    'book': encoded.Codebook(third, codes),
    'signs': encoded.Signs(codes > 0, third),
    'sparse': encoded.Sparse(third, np.array([True, False])),
    'grid': encoded.Quantized(
      codes.astype(np.int8), np.float32(0.5), dtype=np.dtype('float64')
    ),
    'blocks': encoded.Blocks(
      codes, np.int8(-1), np.float32([1, 3]), dtype=np.dtype('float64')
    ),
    'long codes': encoded.Codebook(np.float32([1, 2]), codes.astype(int)),
  }
  for t in (tree, jc.unpack(jc.pack(tree)).tree):
    read = jc.decode(t)
    np.testing.assert_array_equal(read['book'], third[codes])
    np.testing.assert_array_equal(
      read['signs'], np.where(codes > 0, third, -third)
    )
    np.testing.assert_array_equal(read['sparse'], [1 / 3, 0])
    assert read['grid'].dtype == 'float64'
    np.testing.assert_array_equal(read['grid'], codes / 2)
    assert read['blocks'].dtype == 'float64'
    np.testing.assert_array_equal(read['blocks'], codes + 0.5)
    assert isinstance(read['long codes'], jax.Array)
    np.testing.assert_array_equal(read['long codes'], codes + 1.0)


def test_arrays_among_encoded_leaves_count_as_dense():
  w, counts = jnp.ones((2, 3)), np.arange(4)
  tree = {'w': encoded.Dense(w), 'mean': w, 'counts': counts}
  read = jc.decode(tree)
  assert read['mean'] is w and read['counts'] is counts
  assert jc.bits(tree) == 32 * 6 + 64 * 4 + 0 * 6  # the same array once
  kinds = {row.path: row.kind for row in jc.report(tree).rows}
  assert kinds == {'w': 'Dense', 'mean': 'Dense', 'counts': 'Dense'}
  assert len(jc.pack(tree)) == jc.report(tree).total.file_bytes


@pytest.mark.parametrize('read', [jc.decode, jc.bits, jc.report])
def test_what_is_not_encoded_is_refused(read):
  with pytest.raises(ValueError, match='Not an encoded tree.*encode'):
    read({'w': jnp.ones(3)})
  with pytest.raises(ValueError, match='fc/name is of type str'):
    read({'fc': {'name': 'kernel', 'w': encoded.Dense(jnp.ones(3))}})

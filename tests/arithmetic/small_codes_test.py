import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jcompress.ops import pack_codes, unpack_codes


@given(st.sampled_from([1, 2, 4]), st.sampled_from([(0,), (1,), (3, 5), (16,)]))
def test_codes_come_back(bits, shape):
  codes = np.random.default_rng(0).integers(0, 2**bits, shape, np.uint8)
  packed = pack_codes(jnp.asarray(codes), bits)
  assert packed.nbytes == -(-codes.size * bits // 8)
  np.testing.assert_array_equal(unpack_codes(packed, bits, shape), codes)


def test_the_first_run_lies_in_the_lowest_bits():
  got = pack_codes(jnp.array([[1, 0, 3], [2, 3, 1]]), 2)
  np.testing.assert_array_equal(got, [0b00_11_11_01, 0b00_01_10_00])


def test_other_widths_and_shapes_are_errors():
  with pytest.raises(ValueError, match='Codes of 3 bits are not packed'):
    pack_codes(jnp.ones(4, jnp.uint8), 3)
  with pytest.raises(ValueError, match='take 2 bytes, not \\[3\\]'):
    unpack_codes(jnp.ones(3, jnp.uint8), 4, (2, 2))

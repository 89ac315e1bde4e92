import jax.numpy as jnp
import pytest

import jcompress as jc
from jcompress import encoded


def test_entropy_of_constant_and_empty_streams_is_zero():
  assert encoded.stream_entropy(jnp.ones(5)) == 0
  assert encoded.stream_entropy(jnp.ones(0)) == 0


def test_bits_of_plain_params_is_refused():
  with pytest.raises(ValueError, match='Not an encoded tree'):
    jc.bits({'w': jnp.ones(3)})


def test_data_and_static_fields_are_told_apart():
  assert encoded.data_fields(encoded.LowRank) == ['left', 'right']
  assert encoded.static_fields(encoded.LowRank) == ['shape']


def test_shared_codebooks_and_tied_leaves_are_counted_once():
  centers = jnp.array([0.0, 1.0, 2.0, 3.0])
  a = encoded.Codebook(centers, jnp.array([0, 1, 2, 3]))
  b = encoded.Codebook(centers, jnp.array([1, 1, 2, 2]))
  dense = encoded.Dense(jnp.ones(3))
  assert encoded.bits_of_each([a, b, a, dense, dense]) == [
    4 * 32 + 8,
    4,
    0,
    96,
    0,
  ]
  assert jc.bits({'a': a, 'b': b, 'c': a}) == 4 * 32 + 12

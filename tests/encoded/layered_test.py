import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_same

import jcompress as jc
from jcompress.encoded import Codebook, Dense, Stacked, layered


def codebook(k, shape=(2, 3)):
  codes = jnp.arange(6, dtype=jnp.uint8).reshape(shape) % k
  return Codebook(jnp.arange(4.0) + k, codes)


def test_layers_along_several_axes_keep_their_order():
  stack = Stacked(tuple(map(codebook, (1, 2, 3, 4))), (0, 2), (2, 2))
  got = layered(stack)
  assert got.part.codes.shape == (4, 2, 3)
  assert_same(got, stack)
  assert jc.bits(got) == jc.bits(stack)
  for one, want in zip(got.stacked().parts, stack.parts, strict=True):
    assert_same(one, want)
  np.testing.assert_array_equal(jax.jit(jc.decode)(got), stack.decode())


@pytest.mark.parametrize(
  'other',
  [
    Dense(jnp.ones((2, 3))),
    Codebook(jnp.ones(3), jnp.zeros((2, 3), jnp.uint8)),
    Codebook(jnp.ones(4), jnp.zeros((2, 3), jnp.int32)),
  ],
)
def test_layers_of_other_forms_are_none(other):
  assert layered(Stacked((codebook(2), other), (0,), (2,))) is None

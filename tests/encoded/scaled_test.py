import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.encoded import Dense, Quantized, Scaled


def test_each_input_has_its_factor():
  part = Quantized(jnp.array([[3, -2], [1, 1]], jnp.int8), jnp.float32(0.5))
  leaf = Scaled(part, jnp.array([[2.0], [0.25]], jnp.bfloat16))
  np.testing.assert_array_equal(leaf.decode(), [[3, -2], [0.125, 0.125]])
  assert leaf.bits() == part.bits() + 2 * 16
  half = Scaled(part, leaf.factor, jnp.dtype(jnp.float16))
  assert half.decode().dtype == jnp.float16
  back = jc.unpack(jc.pack({'w': leaf})).tree['w']
  assert isinstance(back, Scaled) and isinstance(back.part, Quantized)
  np.testing.assert_array_equal(back.decode(), leaf.decode())


def test_trees_count_it_once():
  leaf = Scaled(Dense(jnp.ones((3, 2))), jnp.ones((3, 1)))
  assert jc.bits({'a': leaf, 'b': leaf}) == leaf.bits() == 32 * 9
  (row,) = jc.report({'a': leaf}).rows
  assert row.kind == 'Scaled' and row.parameters == 6


@pytest.mark.parametrize('shape', [(2,), (2, 1), (3, 2, 1), ()])
def test_factors_that_do_not_fit_are_refused(shape):
  with pytest.raises(ValueError, match='do not fit'):
    Scaled(Dense(jnp.ones((3, 2))), jnp.ones(shape)).decode()

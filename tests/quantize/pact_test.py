import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.ops import pact

X = jnp.array([-0.3, 0.2, 0.9, 1.4, 1.5, 2.0])


def test_values_and_gradients_of_two_bits():
  alpha = jnp.float32(1.5)
  act = lambda x, alpha: pact(x, alpha, bits=2)
  np.testing.assert_array_equal(act(X, alpha), [0, 0, 1, 1.5, 1.5, 1.5])
  dx, dalpha = jax.jacrev(act, (0, 1))(X, alpha)
  np.testing.assert_array_equal(dx, np.diag([0, 1, 1, 1, 0, 0]))
  np.testing.assert_array_equal(dalpha, [0, 0, 0, 0, 1, 1])


def test_the_lower_end_belongs_to_the_inside():
  dx = jax.grad(lambda x: pact(x, jnp.float32(1), bits=4))(jnp.float32(0))
  assert dx == 1


@given(st.integers(1, 16), st.floats(0.125, 20, width=32), st.integers(0, 99))
def test_levels_are_multiples_of_the_top_and_nearest(bits, alpha, seed):
  x = np.random.default_rng(seed).normal(0, 3, 50).astype(np.float32)
  y = np.asarray(pact(jnp.asarray(x), jnp.float32(alpha), bits))
  unit = np.float64(alpha) / (2**bits - 1)
  clipped = np.clip(x.astype(np.float64), 0, alpha)
  np.testing.assert_allclose(y / unit, np.round(y / unit), atol=0.01)
  assert (abs(y - clipped) <= 0.51 * unit).all()


@pytest.mark.parametrize('alpha', [0.0, -1.0])
def test_a_clipping_level_past_zero_can_return(alpha):
  act = lambda alpha: pact(X, alpha, bits=2)
  np.testing.assert_array_equal(act(jnp.float32(alpha)), np.zeros(6))
  assert jax.jacrev(act)(jnp.float32(alpha)).sum() >= 5


def test_half_precision_sums_the_gradient_of_alpha_in_float32():
  x = jnp.full(5000, 2.0, jnp.bfloat16)
  f = lambda alpha: pact(x, alpha, bits=2).astype(jnp.float32).sum()
  assert pact(x, jnp.float32(1), bits=2).dtype == jnp.bfloat16
  grad = jax.grad(f)(jnp.bfloat16(1.0))
  assert grad.dtype == jnp.bfloat16
  np.testing.assert_allclose(grad.astype(jnp.float32), 5000, rtol=0.01)


@pytest.mark.parametrize('bits', [0, 17])
def test_bad_bits_are_refused(bits):
  with pytest.raises(ValueError, match=f'bits is {bits}'):
    pact(X, jnp.float32(1), bits)

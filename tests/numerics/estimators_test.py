import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given

from jcompress.numerics import estimators

floats = st.floats(-(2.0**100), 2.0**100, width=32)


@given(floats, floats)
def test_14_straight_through_has_exactly_the_value(value, carrier):
  value, carrier = jnp.float32(value), jnp.float32(carrier)
  assert estimators.straight_through(value, carrier) == value
  assert jax.grad(lambda c: estimators.straight_through(value, c))(carrier) == 1


def test_sign_of_zero_is_one():
  x = jnp.array([-2.0, -0.0, 0.0, 3.0], jnp.bfloat16)
  got = estimators.sign(x)
  np.testing.assert_array_equal(got, [-1, 1, 1, 1])
  assert got.dtype == jnp.bfloat16


def test_gradient_of_sign_is_that_of_a_hard_tanh_with_its_ends():
  x = jnp.array([-1.5, -1.0, -0.3, 0.0, 1.0, 1.0001])
  grad = jax.grad(lambda x: estimators.sign(x).sum())(x)
  np.testing.assert_array_equal(grad, [0, 1, 1, 1, 1, 0])


def test_stochastic_sign_has_the_mean_of_a_hard_tanh():
  x = jnp.array([-2.0, -0.5, 0.0, 0.3, 1.0, 1.5])
  keys = jax.random.split(jax.random.key(0), 20_000)
  many = jax.vmap(lambda k: estimators.stochastic_sign(k, x))(keys)
  assert set(np.unique(many)) == {-1, 1}
  mean = jnp.clip(x, -1, 1)
  error = 5 * jnp.sqrt((1 - mean**2) / len(keys))
  assert (jnp.abs(many.mean(0) - mean) <= error).all()
  grad = jax.grad(lambda x: estimators.stochastic_sign(keys[0], x).sum())(x)
  np.testing.assert_array_equal(grad, [0, 1, 1, 1, 1, 0])


def test_hard_sigmoid_of_known_inputs():
  x = jnp.array([-2.0, -0.5, 0.0, 0.3, 1.5], jnp.float16)
  got = estimators.hard_sigmoid(x)
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, [0, 0.25, 0.5, 0.65, 1], atol=1e-3)

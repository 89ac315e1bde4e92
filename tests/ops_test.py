import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given

from jcompress import ops

floats = st.floats(-(2.0**100), 2.0**100, width=32)


@given(floats, floats)
def test_14_straight_through_has_exactly_the_value(value, carrier):
  value, carrier = jnp.float32(value), jnp.float32(carrier)
  assert ops.straight_through(value, carrier) == value
  assert jax.grad(lambda c: ops.straight_through(value, c))(carrier) == 1


def test_sign_of_zero_is_one():
  x = jnp.array([-2.0, -0.0, 0.0, 3.0], jnp.bfloat16)
  got = ops.sign(x)
  np.testing.assert_array_equal(got, [-1, 1, 1, 1])
  assert got.dtype == jnp.bfloat16

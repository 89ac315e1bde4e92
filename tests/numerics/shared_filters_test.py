import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jcompress import ops

NUMBERS = st.floats(-100, 100, width=32, allow_subnormal=False)


@settings(max_examples=20, deadline=None)
@given(
  x=arrays(np.float32, (3, 4), elements=NUMBERS),
  axis=st.sampled_from([0, 1, -1]),
)
def test_both_halves_have_all_of_the_response(x, axis):
  p, n = jnp.split(ops.crelu(jnp.asarray(x), axis), 2, axis)
  np.testing.assert_array_equal(p - n, x)
  np.testing.assert_array_equal(p + n, np.abs(x))


def test_the_gradient_is_that_of_both_halves():
  x = jnp.array([-1.5, 0.5, 2.0])
  weights = jnp.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0])
  grad = jax.grad(lambda x: ops.crelu(x) @ weights)(x)
  assert grad.tolist() == [-10, 2, 3]


def test_the_biases_of_a_channel_are_side_by_side():
  x = jnp.array([[[-1.5, 0.0, 2.0]]])
  biases = jnp.array([[0.0, 1.0], [-1.0, 0.5], [0.0, 0.0]])
  found = ops.multi_bias(x, biases)
  assert found.tolist() == [[[0, 0, 0, 0.5, 2, 2]]]
  half = ops.multi_bias(x.astype(jnp.bfloat16), biases)
  assert half.dtype == jnp.bfloat16
  grad = jax.grad(lambda b: ops.multi_bias(x, b).sum())(biases)
  assert grad[1:].tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize('shape', [(2, 3), (3,), (3, 2, 1)])
def test_biases_of_other_channels_are_refused(shape):
  with pytest.raises(ValueError, match=r'must be \[3, number\]'):
    ops.multi_bias(jnp.ones(3), jnp.ones(shape))

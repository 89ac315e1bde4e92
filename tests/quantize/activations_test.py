import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.activations import (
  ActivationRange,
  activation_codes,
  activation_scale,
)

X = jnp.array([-0.3, 0.0, 0.2, 0.9, 1.4, 1.5, 2.0])


def test_codes_of_the_worked_example():
  # After Vanhoucke et al. 2011: 127.5 is rounded to the even number.
  codes = activation_codes(jnp.array([0.0, 0.5, 1.0]), ActivationRange(1.0))
  np.testing.assert_array_equal(codes, [0, 128, 255])


def test_unsigned_values_and_gradients_of_two_bits():
  # The clipped range of Choi et al. 2018 with alpha = 1.5.
  f = lambda x: jc.ops.linear_activation(x, 1.5, bits=2)
  np.testing.assert_array_equal(f(X), [0, 0, 0, 1, 1.5, 1.5, 1.5])
  grad = jax.grad(lambda x: f(x).sum())(X)
  np.testing.assert_array_equal(grad, [0, 0, 1, 1, 1, 1, 0])


def test_signed_values_and_gradients():
  x = jnp.array([-2.0, -1.5, -0.6, 0.0, 0.2, 1.5, 1.6])
  f = lambda x: jc.ops.linear_activation(x, 1.5, bits=3, signed=True)
  np.testing.assert_array_equal(f(x), [-1.5, -1.5, -0.5, 0, 0, 1.5, 1.5])
  grad = jax.grad(lambda x: f(x).sum())(x)
  np.testing.assert_array_equal(grad, [0, 1, 1, 1, 1, 1, 0])


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_half_precision_is_rounded_in_float32(dtype):
  x = jax.random.uniform(jax.random.key(0), (1000,)).astype(dtype)
  y = jc.ops.linear_activation(x, 1.0)
  assert y.dtype == dtype
  want = np.rint(np.asarray(x, np.float32) * 255) * np.float32(1 / 255)
  np.testing.assert_array_equal(y, want.astype(dtype))


@pytest.mark.parametrize('bits', [2, 5, 8])
@pytest.mark.parametrize('signed', [False, True])
def test_all_codes_of_the_range_occur(bits, signed):
  grid = ActivationRange(3.0, bits, signed)
  codes = activation_codes(jnp.linspace(-4.0, 4.0, 5001), grid)
  low = -(2 ** (bits - 1) - 1) if signed else 0
  high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
  np.testing.assert_array_equal(np.unique(codes), np.arange(low, high + 1))
  np.testing.assert_allclose(high * activation_scale(grid), 3, rtol=1e-6)


def test_the_limit_may_be_traced_and_gets_no_gradient():
  f = lambda limit: jc.ops.linear_activation(X, limit, bits=2).sum()
  assert jax.jit(f)(jnp.float32(1.5)) == f(1.5)
  assert jax.grad(f)(jnp.float32(1.5)) == 0


@pytest.mark.parametrize(
  'limit', [0.0, -1.0, float('nan'), float('inf'), 1e-40]
)
def test_bad_limits_are_refused(limit):
  with pytest.raises(ValueError, match='limit is'):
    jc.ops.linear_activation(X, limit)


@pytest.mark.parametrize('bits', [1, 9])
def test_bad_bits_are_refused(bits):
  with pytest.raises(ValueError, match='bits is'):
    jc.ops.linear_activation(X, 1.0, bits)

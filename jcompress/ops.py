"""Operations on the model side: rounding, signs and their gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def straight_through(
  value: Float[Array, '*shape'], carrier: Float[Array, '*shape']
) -> Float[Array, '*shape']:
  """Has exactly the value of `value` and the gradient of `carrier`.

  Written so that the value is exact: `carrier + (value - carrier)` is not.

  References:
    Bengio et al., Estimating or Propagating Gradients Through Stochastic
    Neurons for Conditional Computation, 2013, arXiv 1308.3432.
  """
  zero = carrier - jax.lax.stop_gradient(carrier)
  return zero + jax.lax.stop_gradient(value)


def sign(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """`+1` where `x >= 0`, `-1` elsewhere: zero has a sign, unlike `jnp.sign`."""
  return jnp.where(x >= 0, 1, -1).astype(x.dtype)

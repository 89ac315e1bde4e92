"""Signs and rounding that let gradients through."""

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
  """`+1` where `x >= 0`, `-1` elsewhere: zero has a sign, unlike `jnp.sign`.

  The gradient is that of a hard tanh: one where `|x| <= 1`, the two ends
  included, zero elsewhere.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  return straight_through(_sign(x, x >= 0), _within_one(x))


def stochastic_sign(
  key: jax.Array, x: Float[Array, '*shape']
) -> Float[Array, '*shape']:
  """`+1` with probability `clip((x + 1) / 2, 0, 1)`, else `-1`.

  Its mean is `clip(x, -1, 1)`; its gradient is that of `sign`.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  up = jax.random.uniform(key, x.shape, jnp.float32) < hard_sigmoid(x)
  return straight_through(_sign(x, up), _within_one(x))


def hard_sigmoid(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """`clip((x + 1) / 2, 0, 1)` in float32: the probability of `+1`."""
  return jnp.clip((x.astype(jnp.float32) + 1) / 2, 0, 1)


def _sign(x, up):
  return jnp.where(up, 1, -1).astype(x.dtype)


def _within_one(x):
  # The ends belong to the inside: clipped latent weights sit on them.
  return jnp.where(jnp.abs(x) <= 1, x, jnp.zeros([], x.dtype))

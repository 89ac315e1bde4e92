"""XNOR-Net beyond one bit: activations of a few bits, and binary gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole


def xnor_activation(
  x: Float[Array, '*shape'], bits: int
) -> Float[Array, '*shape']:
  """The nearest of `2^k` values, evenly spaced from -1 to 1.

  `q_k(x) = 2 (round((2^k - 1) (x + 1) / 2) / (2^k - 1) - 1/2)`, with what lies
  in the middle rounded up: one bit is `ops.sign`. The gradient is that of a
  hard tanh.

  >>> (3 * xnor_activation(jnp.array([-1.0, -0.5, 0.0, 0.9]), 2)).tolist()
  [-3.0, -1.0, 1.0, 3.0]

  Args:
    x: activations.
    bits: `1 .. 16`.

  Raises:
    ValueError: bits out of range.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
  """
  require_whole('bits', bits, 1, 16)
  steps = 2**bits - 1
  wide = jnp.clip(x.astype(jnp.float32), -1, 1)
  index = jnp.floor((wide + 1) * (steps / 2) + 0.5)
  value = ((2 * index - steps) / steps).astype(x.dtype)
  inside = jnp.where(jnp.abs(x) <= 1, x, jnp.zeros([], x.dtype))
  return straight_through(value, inside)


@jax.custom_vjp
def xnor_gradient(x: Float[Array, 'batch ...']) -> Float[Array, 'batch ...']:
  """Is `x`, and binarizes the gradient that comes back through it.

  `dx <- sgn(dx) max|dx|`, with the maximum of each example. Zeros stay zero,
  since most of what comes back through a pool is zero. Put it behind a
  convolution or dense layer.

  Args:
    x: what a layer puts out; the first axis is that of the batch.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
  """
  return x


def _forward(x):
  return x, None


def _backward(residuals, grad):
  del residuals
  axes = tuple(range(1, grad.ndim))
  largest = jnp.max(jnp.abs(grad), axes, keepdims=True, initial=0)
  return (jnp.sign(grad) * largest,)


xnor_gradient.defvjp(_forward, _backward)

"""PACT: activations clipped at a level that is trained, then rounded."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole


def pact(
  x: Float[Array, '*shape'], alpha: Float[Array, ''], bits: int
) -> Float[Array, '*shape']:
  """Clips to `0 .. alpha` and rounds to `2^bits` levels; replaces the ReLU.

      y = round(clip(x, 0, alpha) n / alpha) alpha / n,   n = 2^bits - 1

  The gradient of `x` passes where `0 <= x < alpha`; that of `alpha` is the sum
  over `x >= alpha`. Nothing in it makes `alpha` small, and small it must become
  for fine levels: start it large (10) and put the L2 penalty of the weights on
  it too, for example by an `optax.add_decayed_weights` that does not mask it.

  >>> pact(jnp.array([-0.3, 0.2, 0.9, 1.4, 2.0]), jnp.float32(1.5), bits=2)
  Array([0. , 0. , 1. , 1.5, 1.5], dtype=float32)

  Args:
    x: activations.
    alpha: clipping level, trained with the model, one a layer. At zero or less
      the output is zero and `alpha` still gets its gradient.
    bits: `1 .. 16`.

  Raises:
    ValueError: bits out of range.

  References:
    Choi et al., PACT: Parameterized Clipping Activation for Quantized Neural
    Networks, 2018, arXiv 1805.06085, section 3.
  """
  require_whole('bits', bits, 1, 16)
  levels = 2**bits - 1
  inputs = x.astype(jnp.float32)
  alpha = alpha.astype(jnp.float32)
  over = inputs >= alpha  # eq. 3
  inside = (inputs >= 0) & ~over
  clip = lambda top: jnp.where(over, top, jnp.where(inside, inputs, 0))  # eq. 1
  unit = jnp.where(alpha > 0, alpha, 1) / levels
  value = jnp.round(clip(jnp.maximum(alpha, 0)) / unit) * unit  # eq. 2
  return straight_through(value, clip(alpha)).astype(x.dtype)

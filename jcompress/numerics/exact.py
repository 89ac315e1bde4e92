"""Products in all the bits of their type, where accelerators drop some.

Without these, float32 products run in TensorFloat-32 on GPUs and in bfloat16 on
TPUs: fine for a model, not for the sums from which a method is computed.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

PRECISION = jax.lax.Precision.HIGHEST

einsum = functools.partial(jnp.einsum, precision=PRECISION)
matmul = functools.partial(jnp.matmul, precision=PRECISION)
vdot = functools.partial(jnp.vdot, precision=PRECISION)


def second_moments(
  rows: Float[Array, 'groups n inputs'],
) -> Float[Array, 'groups inputs inputs']:
  """`X^T X / n` of the rows of each group."""
  return einsum('gni,gnj->gij', rows, rows) / rows.shape[1]

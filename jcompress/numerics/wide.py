"""Arithmetic in at least float32, whatever the dtype of the weights."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def wide(
  x: Float[Array | np.ndarray | np.generic, '*shape'],
) -> Float[Array | np.ndarray | np.generic, '*shape']:
  """The same numbers in float32, or in float64 if they are that already."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))

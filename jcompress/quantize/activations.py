"""Linear quantization of activations."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from jcompress.mask import apply_mask
from jcompress.numerics.estimators import straight_through
from jcompress.quantize.ranges import require_bits

LEAST = 2.0**-100  # of limits, so that a float32 holds their inverse


class ActivationRange(NamedTuple):
  """The grid of an activation: `0 .. limit`, or `-limit .. limit` if signed."""

  limit: float
  bits: int = 8
  signed: bool = False

  @property
  def steps(self) -> int:
    """The largest code, that of `limit`; the least is 0, or minus this one."""
    return 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1


def linear_activation(
  x: Float[Array, '*shape'],
  limit: Float[Array, ''] | float,
  bits: int = 8,
  *,
  signed: bool = False,
) -> Float[Array, '*shape']:
  """Rounds activations to a uniform grid, in the forward pass.

  With `m = 2^bits - 1` for activations that are never negative, such as those
  of a ReLU, and `m = 2^(bits-1) - 1` for others:

      y = limit / m * clip(round(x * m / limit), -m if signed else 0, m).

  The gradient passes straight through where `0 < x <= limit`, or
  `|x| <= limit` if signed, and is zero outside; `limit` is a constant to it.

  Args:
    x: activations.
    limit: the largest magnitude on the grid, above 0; see
      `calibrate_activations`.
    bits: of a code, `2 .. 8`.
    signed: whether the grid has negative values.

  Raises:
    ValueError: `bits` out of range; a `limit` that is a number and not above 0.

  References:
    Vanhoucke et al., Improving the speed of neural networks on CPUs, 2011,
    Deep Learning and Unsupervised Feature Learning workshop.

  >>> linear_activation(jnp.array([-0.1, 0.1, 0.5, 1.4]), 1.0, bits=2)
  Array([0.       , 0.       , 0.6666667, 1.       ], dtype=float32)
  """
  grid = ActivationRange(limit, bits, signed)  # type: ignore[arg-type]
  require_range(grid)
  value = activation_codes(x, grid) * activation_scale(grid)
  inside = (jnp.abs(x) if signed else x) <= limit
  if not signed:
    inside &= x > 0
  return straight_through(value.astype(x.dtype), apply_mask(x, inside))


def activation_codes(
  x: Num[Array, '*shape'], grid: ActivationRange
) -> Float[Array, '*shape']:
  """The codes of activations, whole numbers in float32."""
  inverse = grid.steps / jnp.asarray(grid.limit, jnp.float32)
  codes = jnp.round(x.astype(jnp.float32) * inverse)
  return jnp.clip(codes, -grid.steps if grid.signed else 0, grid.steps)


def activation_scale(grid: ActivationRange) -> Float[Array, '']:
  """The distance of two neighbours on the grid."""
  return jnp.asarray(grid.limit, jnp.float32) * np.float32(1 / grid.steps)


def require_range(grid: ActivationRange) -> None:
  """Raises a `ValueError` unless it is a grid; a traced limit is trusted."""
  require_bits(grid.bits)
  limit = grid.limit
  if not isinstance(limit, jax.Array) and not LEAST <= limit < np.inf:
    raise ValueError(
      f'limit is {limit}; it must be the largest activation, at least {LEAST}.'
    )

"""Where to clip the weights of a group, as a share of the largest of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress.numerics.counts import nearest_share
from jcompress.numerics.whole import require_whole
from jcompress.prune.threshold import kth_largest
from jcompress.quantize.grouping import Groups

CALIBRATIONS = ('absmax', 'percentile', 'mse')
SCALE_DTYPES = ('float32', 'bfloat16')
SHARES = np.linspace(0.2, 1.0, 33, dtype=np.float32)


def percentile_share(
  size: Float[Array, '...'], groups: Groups, percentile: float
) -> Float[Array, '...']:
  """The share that so many percent of the members of a group do not exceed.

  Of the members that are not zero: those of a pruned weight are few, and what
  is clipped would soon be many of them. Found by counting, without a sort.

  Args:
    size: magnitudes, float32, of the shape of the weight; negative is zero.
    groups: of the weight.
    percentile: in percent, `0 .. 100`.

  Returns:
    In `0 .. 1`, of the shape of the scale; 1 for a group of zeros.
  """
  rows = groups.rows(jnp.maximum(size, 0))
  live = jnp.sum(rows > 0, axis=1, dtype=jnp.int32)
  above = nearest_share(1 - percentile / 100, live)
  clip = jax.vmap(kth_largest)(rows, above + 1)
  largest = jnp.max(rows, axis=1, initial=0)
  share = jnp.where(largest > 0, clip / jnp.where(largest > 0, largest, 1), 1)
  return share.reshape(groups.scale_shape)


def least_error_share(
  error: Callable[[Any], Float[Array, '...']], shape: tuple[int, ...]
) -> Float[Array, '...']:
  """The share, of 33 from 0.2 to 1, with the least error in each group.

  Args:
    error: of a share, one number a group.
    shape: of the scale.
  """

  def body(i, best):
    share = jnp.asarray(SHARES)[i]
    now = error(share)
    better = now <= best[0]  # of equal ones the largest
    least, chosen = best
    return jnp.where(better, now, least), jnp.where(better, share, chosen)

  start = jnp.full(shape, jnp.inf, jnp.float32), jnp.ones(shape, jnp.float32)
  return jax.lax.fori_loop(0, len(SHARES), body, start)[1]


def narrowed(scale: Float[Array, '...']) -> Float[Array, '...']:
  """A scale in float32 that bfloat16 holds exactly; never zero or inf.

  Args:
    scale: float32, positive and finite.
  """
  limits = jnp.finfo(jnp.bfloat16)
  # A cast there and back may be left out by the compiler.
  scale = jax.lax.reduce_precision(scale, exponent_bits=8, mantissa_bits=7)
  return jnp.clip(scale, np.float32(limits.tiny), np.float32(limits.max))


def require_scale_dtype(dtype: Any) -> None:
  """Raises a `ValueError` unless scales can be shipped in it."""
  if dtype not in SCALE_DTYPES:
    raise ValueError(
      f'scale_dtype is {dtype!r}; it must be one of {", ".join(SCALE_DTYPES)}.'
    )


def require_calibration(calibration: str, percentile: float) -> None:
  """Raises a `ValueError` for an unknown calibration or percentile."""
  if calibration not in CALIBRATIONS:
    raise ValueError(
      f'calibration is {calibration!r}; it must be one of '
      f'{", ".join(CALIBRATIONS)}.'
    )
  if not 50 < percentile <= 100:
    raise ValueError(
      f'percentile is {percentile}; it must be above 50 and at most 100.'
    )


def require_bits(bits: Any) -> None:
  """Raises a `ValueError` unless codes of so many bits fit into a byte."""
  require_whole('bits', bits, 2, 8)

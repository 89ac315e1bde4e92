"""Grids of few bits: normal floats, and small floats with shared scales."""

import math
import types
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jaxtyping import Array, Float, UInt8

_FLOATS = types.MappingProxyType(
  {
    'e2m1': ml_dtypes.float4_e2m1fn,
    'e2m3': ml_dtypes.float6_e2m3fn,
    'e3m2': ml_dtypes.float6_e3m2fn,
    'e4m3': ml_dtypes.float8_e4m3fn,
    'e5m2': ml_dtypes.float8_e5m2,
  }
)
_MX_BLOCK = 32


class Grid(NamedTuple):
  """A grid and how it is stretched over a block of weights.

  Attributes:
    values: float32, increasing, one of them zero.
    block: consecutive inputs that share a scale; `None` for all.
    is_mx: whether the scales are powers of two, after the Open Compute
      Project's definition of microscaling formats.
  """

  values: Float[np.ndarray, ' k']
  block: int | None
  is_mx: bool


GRIDS = types.MappingProxyType(
  {
    'nf4': ('nf4', 64),
    'fp4': ('e2m1', 64),
    'e4m3': ('e4m3', None),
    'e5m2': ('e5m2', None),
    'mxfp4': ('e2m1', _MX_BLOCK),
    'mxfp6_e2m3': ('e2m3', _MX_BLOCK),
    'mxfp6_e3m2': ('e3m2', _MX_BLOCK),
    'mxfp8_e4m3': ('e4m3', _MX_BLOCK),
    'mxfp8_e5m2': ('e5m2', _MX_BLOCK),
  }
)


def find_grid(name: str) -> Grid:
  """The grid of a name.

  Raises:
    ValueError: it is not known.
  """
  if name not in GRIDS:
    raise ValueError(f'grid is {name!r}; it must be one of {", ".join(GRIDS)}.')
  kind, block = GRIDS[name]
  values = normal_floats() if kind == 'nf4' else small_floats(kind)
  return Grid(values, block, name.startswith('mx'))


def normal_floats() -> Float[np.ndarray, ' 16']:
  """The 16 values of NF4: quantiles of a normal variable, the largest one 1.

  Eight of zero and above, eight of zero and below, and zero itself once.

  References:
    Dettmers et al., QLoRA, 2023, arXiv 2305.14314, section 3 and appendix E.

  >>> print(normal_floats()[[0, 1, 7, 8, 15]].round(4))
  [-1.     -0.6962  0.      0.0796  1.    ]
  """
  # The mean of 1 - 1 / 32 and 1 - 1 / 30: the ends of halves of 8 and 7 steps.
  end = 1 - (1 / 32 + 1 / 30) / 2
  quantiles = lambda n: [
    NormalDist().inv_cdf(p) for p in np.linspace(end, 0.5, n)[:-1]
  ]
  values = np.array([*(-x for x in quantiles(8)), 0.0, *quantiles(9)])
  return np.sort(values / values.max()).astype(np.float32)


def small_floats(kind: str) -> Float[np.ndarray, ' k']:
  """All finite values of a float of 4 to 8 bits, zero once, in order.

  Args:
    kind: `'e2m1'`, `'e2m3'`, `'e3m2'`, `'e4m3'` or `'e5m2'`: bits of the
      exponent and of the mantissa, as ml_dtypes defines them.

  >>> print(small_floats('e2m1')[7:])
  [0.  0.5 1.  1.5 2.  3.  4.  6. ]
  """
  dtype = np.dtype(_FLOATS[kind])
  count = 2 ** (1 + int(kind[1]) + int(kind[3]))
  values = np.arange(count, dtype=np.uint8).view(dtype).astype(np.float32)
  return np.unique(values[np.isfinite(values)]) + np.float32(0)


def nearest_codes(
  x: Float[Array, '*shape'], values: Float[np.ndarray, ' k']
) -> UInt8[Array, '*shape']:
  """The number of the nearest value, of at most 256.

  Halfway between two, the one at an even distance from zero: a small float of
  an even mantissa, as a cast gives it.

  Args:
    x: float32.
    values: increasing, one of them zero.
  """
  middle = ((values[:-1].astype(np.float64) + values[1:]) / 2).astype(
    np.float32
  )
  goes_up = (np.arange(1, len(values)) - np.argmin(np.abs(values))) % 2 == 0
  ends = np.where(goes_up, np.nextafter(middle, np.float32(-np.inf)), middle)
  return _count_below(x, jnp.asarray(ends))


@jax.jit  # outside of jit, all comparisons would be in memory
def _count_below(x, ends):
  ends = ends.reshape((1,) * x.ndim + ends.shape)
  return jnp.sum(x[..., None] > ends, axis=-1, dtype=jnp.int32).astype(
    jnp.uint8
  )


def shared_exponents(
  largest: Float[Array, '*shape'], values: Float[np.ndarray, ' k']
) -> Array:
  """The exponent of the scale of each block, int8: of a zero, 0.

  `floor(log2(largest)) - floor(log2(max(values)))`, so that what is above the
  largest value is cut off, by less than a third.

  Args:
    largest: magnitude of the block, float32.
    values: the grid.

  References:
    Rouhani et al., Microscaling Data Formats for Deep Learning, 2023, arXiv
    2310.10537, algorithm 1.
  """
  bits = jax.lax.bitcast_convert_type(largest, jnp.int32)
  exponent = (bits >> 23) - 127 - math.floor(math.log2(float(values[-1])))
  exponent = jnp.where(largest > 0, jnp.clip(exponent, -126, 127), 0)
  return exponent.astype(jnp.int8)

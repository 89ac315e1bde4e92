"""Convolution kernels by hashing, in the frequency domain."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jcompress.encoded.hashed import look_up, positions_of
from jcompress.encoded.leaf import Encoded, leaf, static, width
from jcompress.numerics import exact

_MAX_SIDE = 256
_MAX_TAPS = 2**16


@leaf
class HashedFrequencies(Encoded):
  """A kernel whose frequencies are buckets, with a sign, chosen by a hash.

  All axes but the last two are spatial. The entry at frequencies `j1, j2, ...`
  of the orthonormal DCT-II along them reads one of the buckets of its band,
  `j1 + j2 + ...`, as an entry of `Hashed` reads one of all.

  Attributes:
    buckets: float `[k]`, those of the lowest band first.
    seed: uint32, a scalar: of the two hashes.
    shape: of the weight; see `is_kernel`.
    counts: how many buckets each band has.
  """

  buckets: Any
  seed: Any
  shape: tuple[int, ...] = static()
  counts: tuple[int, ...] = static()

  def decode(self):
    buckets, seed = jnp.asarray(self.buckets), jnp.asarray(self.seed)
    if (
      not is_kernel(self.shape)
      or len(self.counts) != band_count(self.shape)
      or min(self.counts) < 1
      or sum(self.counts) != buckets.size
    ):
      raise ValueError(
        f'{buckets.size} buckets in bands of {self.counts} do not make up the '
        f'frequencies of a weight {list(self.shape)}.'
      )
    positions = positions_of(buckets, seed, self.shape)
    return look_up_frequencies(buckets, seed, positions, self.counts)

  def bits(self):
    return float(width(self.buckets) * self.buckets.size + width(self.seed))


@functools.partial(jax.jit, static_argnums=3)
def look_up_frequencies(
  buckets: Float[Array, ' k'],
  seed: UInt32[Array, ''],
  positions: UInt32[Array, '*shape'],
  counts: tuple[int, ...],
) -> Float[Array, '*shape']:
  """The kernel whose frequencies the buckets of each band are."""
  band = bands(positions.shape)
  count = np.array(counts, np.uint32)
  first = np.cumsum(count, dtype=np.uint32) - count
  frequencies = look_up(
    buckets.astype(jnp.float32), seed, positions, first[band], count[band]
  )
  return _inverse_dct(frequencies).astype(buckets.dtype)


def is_kernel(shape: tuple[int, ...]) -> bool:
  """Whether spatial axes are at most 256 long, and 65,536 all together."""
  sides = shape[:-2]
  return max(sides, default=0) <= _MAX_SIDE and math.prod(sides) <= _MAX_TAPS


def band_count(shape: tuple[int, ...]) -> int:
  """How many bands a kernel of a shape has."""
  return 1 + sum(max(0, side - 1) for side in shape[:-2])


def bands(shape: tuple[int, ...]) -> np.ndarray:
  """The sum of the frequencies of an entry; broadcasts to the shape."""
  sides = np.indices(shape[:-2]).sum(0) if shape[:-2] else np.zeros((), int)
  return np.asarray(sides, int).reshape(shape[:-2] + (1,) * len(shape[-2:]))


def _inverse_dct(x):
  for axis, side in enumerate(x.shape[:-2]):
    f, place = np.arange(side)[:, None], np.arange(side)
    waves = np.cos(np.pi * (2 * place + 1) * f / (2 * side))
    waves *= np.sqrt(np.where(f == 0, 1, 2) / side)
    x = jnp.tensordot(
      waves.T.astype(np.float32),
      x,
      (1, axis),
      precision=exact.PRECISION,
    )
    x = jnp.moveaxis(x, 0, axis)
  return x

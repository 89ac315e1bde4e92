"""Weights by hashing: each position says which bucket it reads, and its sign.

Nothing of the size of the weight is stored: the hash is computed on the fly.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jcompress.encoded.leaf import Encoded, leaf, static, width
from jcompress.numerics.xxhash import xxhash32

MAX_SIZE = 2**31 - 1
_SIGN = 0x9E3779B1  # makes the sign a hash of its own


@leaf
class Hashed(Encoded):
  """A weight whose entries are buckets, with a sign, chosen by a hash.

  The entry at position `p`, counted in row-major order, is
  `buckets[h(p) % k]`, negated where the top bit of a second hash is set.

  Attributes:
    buckets: float `[k]`.
    seed: uint32, a scalar: of the two hashes.
    shape: of the weight.
  """

  buckets: Any
  seed: Any
  shape: tuple[int, ...] = static()

  def decode(self):
    buckets, seed = jnp.asarray(self.buckets), jnp.asarray(self.seed)
    return look_up(buckets, seed, positions_of(buckets, seed, self.shape))

  def bits(self):
    return float(width(self.buckets) * self.buckets.size + width(self.seed))


def positions_of(
  buckets: Array, seed: Array, shape: tuple[int, ...]
) -> UInt32[Array, '...']:
  """The positions of all entries of a weight, in row-major order.

  Raises:
    ValueError: no buckets, seed or shape of a weight.
  """
  size = math.prod(shape)
  if (
    buckets.ndim != 1
    or not len(buckets)
    or seed.dtype != jnp.uint32
    or seed.shape
    or min(shape, default=0) < 0
    or size > MAX_SIZE
  ):
    raise ValueError(
      f'Buckets {list(buckets.shape)} and a {seed.dtype}{list(seed.shape)} '
      f'seed do not make up a weight {list(shape)}.'
    )
  return jnp.arange(size, dtype=jnp.uint32).reshape(shape)


@jax.jit
def look_up(
  buckets: Float[Array, ' k'],
  seed: UInt32[Array, ''],
  positions: UInt32[Array, '*shape'],
  first: UInt32[Array | np.ndarray, '...'] | int = 0,
  count: UInt32[Array | np.ndarray, '...'] | None = None,
) -> Float[Array, '*shape']:
  """The entries at some positions, with the sharding of the positions.

  The gradient of a bucket, `sum_p sign(p) g(p)` over the positions that read
  it, is summed in float32.

  Args:
    buckets: of all entries.
    seed: of the hashes.
    positions: of the entries, counted in row-major order.
    first: which bucket is the first that an entry may read; broadcasts.
    count: from there on, how many it may read; all if not given.
  """
  if count is None:
    count = jnp.uint32(len(buckets))
  negative = xxhash32(positions, seed ^ jnp.uint32(_SIGN)) >> 31
  place = first + xxhash32(positions, seed) % count
  # The remainder changes nothing, but after it XLA:CPU keeps what the transpose
  # needs, too, and would take thrice as long to find again.
  both = (2 * place + negative) % jnp.uint32(2 * len(buckets))
  value = (
    buckets.astype(jnp.float32)  # so that the transpose adds in float32
    .at[both >> 1]
    .get(mode='promise_in_bounds', out_sharding=jax.typeof(both).sharding)
  )
  return jnp.where(both & 1 == 0, value, -value).astype(buckets.dtype)

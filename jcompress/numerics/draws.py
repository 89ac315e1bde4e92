"""Random numbers for each weight that cost little more than reading it.

They are a hash of the place of the weight, seeded anew with each key: a tenth
of the time of `jax.random`, and good enough as the noise of training. Where
statistics hang on them, use `jax.random`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jcompress.numerics.xxhash import xxhash32


def bits(key: jax.Array, shape: tuple[int, ...]) -> UInt32[Array, '...']:
  """32 random bits for each place of an array of this shape."""
  place = jnp.zeros(shape, jnp.uint32)
  stride = 1
  for axis in reversed(range(len(shape))):
    index = jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    place += index * jnp.uint32(stride % 2**32)
    stride *= shape[axis]
  return xxhash32(place, jax.random.bits(key, (), jnp.uint32))


def uniform(key: jax.Array, shape: tuple[int, ...]) -> Float[Array, '...']:
  """Uniform in 0 .. 1 without the ends: odd multiples of `2^-24`."""
  return _unit(bits(key, shape))


def nearly_normal(
  key: jax.Array, shape: tuple[int, ...]
) -> Float[Array, '...']:
  """Mean 0, variance 1: how many of 32 random bits are set, standardized.

  Binomial, on a grid of steps of 0.354 within -5.66 .. 5.66; its fourth moment
  is 2.9375, that of a normal variable 3.
  """
  ones = jax.lax.population_count(bits(key, shape)).astype(jnp.float32)
  return (ones - 16) * np.float32(8**-0.5)


def _unit(words):
  # All steps are exact, so that it is the same however it is compiled.
  return ((words >> 9).astype(jnp.float32) + 0.5) * 2.0**-23

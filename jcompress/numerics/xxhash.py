"""The 32-bit xxHash, one word at a time.

References:
  Collet, xxHash fast digest algorithm, 2012: specification of XXH32.
"""

import jax.numpy as jnp
from jaxtyping import Array, UInt32

_PRIMES = 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1  # 2 .. 5 of xxHash


def xxhash32(
  words: UInt32[Array, '*shape'], seed: UInt32[Array, ''] | int
) -> UInt32[Array, '*shape']:
  """The 32-bit xxHash of each word, as four bytes with the lowest first.

  >>> hex(xxhash32(jnp.uint32(0), 0))
  '0x8d6d969'
  """
  prime2, prime3, prime4, prime5 = (jnp.uint32(p) for p in _PRIMES)
  h = jnp.uint32(seed) + prime5 + jnp.uint32(4) + words * prime3
  h = (h << 17 | h >> 15) * prime4
  h = (h ^ h >> 15) * prime2
  h = (h ^ h >> 13) * prime3
  return h ^ h >> 16

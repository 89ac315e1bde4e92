"""Codes of one, two or four bits, several to a byte."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Integer, UInt8

Codes = Integer[Array, '...'] | Bool[Array, '...']


def pack_codes(codes: Codes, bits: int) -> UInt8[Array, ' n']:
  """Packs codes in `0 .. 2^bits - 1`, `8 / bits` to a byte.

  The codes are cut, in row-major order, into `8 / bits` runs as long as there
  are bytes: those of the first run lie in the lowest bits. So neighbours come
  out of neighbouring bytes in one shift. What fills up the last run is zero.

  >>> pack_codes(jnp.array([1, 2, 15]), 4)
  Array([241,   2], dtype=uint8)

  Args:
    codes: integers or bool, of any shape.
    bits: of a code: 1, 2 or 4.

  Raises:
    ValueError: another number of bits.
  """
  runs = _runs(bits)
  length = -(-codes.size // runs)
  flat = codes.reshape(-1).astype(jnp.uint8)
  flat = jnp.pad(flat, (0, runs * length - codes.size)).reshape(runs, length)
  return jnp.sum(flat << _shifts(bits), 0, dtype=jnp.uint8)


def unpack_codes(
  packed: UInt8[Array, ' n'], bits: int, shape: tuple[int, ...]
) -> UInt8[Array, '...']:
  """The codes that `pack_codes` packed.

  >>> unpack_codes(jnp.array([241, 2], jnp.uint8), 4, (3,))
  Array([ 1,  2, 15], dtype=uint8)

  Args:
    packed: the bytes.
    bits: of a code: 1, 2 or 4.
    shape: of the codes.

  Raises:
    ValueError: another number of bits, or so many codes do not take so many
      bytes.
  """
  runs, size = _runs(bits), math.prod(shape)
  if packed.shape != (-(-size // runs),):
    raise ValueError(
      f'Codes {list(shape)} of {bits} bits take {-(-size // runs)} bytes, not '
      f'{list(packed.shape)}: pass the shape of what was packed.'
    )
  codes = (packed[None] >> _shifts(bits)) & jnp.uint8(2**bits - 1)
  return codes.reshape(-1)[:size].reshape(shape)


def _runs(bits):
  if bits not in (1, 2, 4):
    raise ValueError(
      f'Codes of {bits} bits are not packed: it must be 1, 2 or 4. Keep others '
      'a byte each.'
    )
  return 8 // bits


def _shifts(bits):
  return jnp.arange(0, 8, bits, dtype=jnp.uint8)[:, None]

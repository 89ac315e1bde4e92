"""Products of packed signs: differing bits, counted word by word."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt32

from jcompress.arithmetic.packing import gathered, require_words
from jcompress.arithmetic.popcount_kernels import (
  HAS_TRITON,
  differing_bits_gpu,
  differing_bits_tpu,
)

# XLA for the CPU fuses a dynamic slice into what uses it fewer than 16 times,
# and then counts bit by bit instead of in vectors: seven times slower.
_WORDS_AT_ONCE = range(16, 21)
# The innermost loop is over the columns. If the rows are fewer, it is over them
# from so many on: what it goes through each time then fits a cache.
_FEW = 64
# So few rows go through so many words at once: a loop would cost more than what
# it does.
_ROWS_WITHOUT_LOOP, _WORDS_WITHOUT_LOOP = 8, 160


def binary_dot(
  x: UInt32[Array, '*batch words'], w: UInt32[Array, 'words_w n'], size: int
) -> Int32[Array, '*batch n']:
  """Dot products of rows and columns of signs, exactly.

  `size - 2 popcount(x xor w)`, summed over the words: the bits beyond `size`
  are equal on both sides and count for nothing.

  On a single TPU, and before jax 0.12 a single GPU, by a Pallas kernel;
  elsewhere by a loop over the words that XLA compiles, and divides among
  devices.

  >>> from jcompress.arithmetic.packing import pack_signs
  >>> x = pack_signs(jnp.array([1.0, -1.0, 1.0]))
  >>> binary_dot(x, x[:, None], 3)
  Array([3], dtype=int32)

  Args:
    x: rows of signs, packed along the last axis by `pack_signs`.
    w: columns, packed along the first.
    size: how many signs a row has, before they were packed.

  Raises:
    ValueError: `x` and `w` have not the words that `size` signs take.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  if x.shape[-1] != w.shape[0]:
    raise ValueError(
      f'Rows of {x.shape[-1]} words do not fit columns of {w.shape[0]}: pack '
      'both from as many signs.'
    )
  require_words(w.shape[0], size)
  x, w = gathered(x, (x.ndim - 1,)), gathered(w, (0,))
  rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
  products = size - 2 * differing_bits(rows, w)
  return products.reshape(*x.shape[:-1], w.shape[1])


def differing_bits(
  x: UInt32[Array, 'm words'], w: UInt32[Array, 'words n']
) -> Int32[Array, 'm n']:
  """How many bits of each row differ from those of each column."""
  # XLA cannot divide a kernel among devices.
  alone = jax.default_backend() != 'cpu' and jax.device_count() == 1
  if not alone or not (x.size and w.size):
    return by_words(x, w)
  gpu = differing_bits_gpu if HAS_TRITON else by_words
  return jax.lax.platform_dependent(
    x, w, cuda=gpu, rocm=gpu, tpu=differing_bits_tpu, default=by_words
  )


def by_words(
  x: UInt32[Array, 'm words'], w: UInt32[Array, 'words n']
) -> Int32[Array, 'm n']:
  """`differing_bits` by a loop over some words at a time, for any platform."""
  words = w.shape[0]
  if not words:
    return jnp.zeros((x.shape[0], w.shape[1]), jnp.int32)
  if x.shape[0] <= _ROWS_WITHOUT_LOOP and words <= _WORDS_WITHOUT_LOOP:
    return _count(x, w)
  if _FEW <= x.shape[0] < w.shape[1] and words >= 2 * _WORDS_AT_ONCE[0]:
    return by_words(w.T, x.T).T
  # XLA unrolls a loop of one step, and then forms the words again for each use.
  at_once = 1
  if words >= 2 * _WORDS_AT_ONCE[0]:
    at_once = min(_WORDS_AT_ONCE, key=lambda n: words % n)
  rest = words - words % at_once
  total = jnp.zeros_like(x[:, :1] ^ w[:1], jnp.int32)
  for start, stop, step in ((0, rest, at_once), (rest, words, 1)):

    def add(i, total, start=start, step=step):
      place = start + i * step
      part = jax.lax.dynamic_slice_in_dim(x, place, step, 1)
      block = jax.lax.dynamic_slice_in_dim(w, place, step, 0)
      return total + _count(part, block)

    if stop > start:
      total = jax.lax.fori_loop(0, (stop - start) // step, add, total)
  return total


def _count(x, w):
  total = 0
  for i in range(w.shape[0]):
    total = total + jax.lax.population_count(x[:, i, None] ^ w[i][None])
  return total.astype(jnp.int32)

"""Products of bytes and packed signs, one plane of bits at a time."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt8, UInt32

from jcompress.arithmetic.binary_dot import differing_bits
from jcompress.arithmetic.packing import gathered, pack_signs, require_words
from jcompress.arithmetic.xnor_ops import Padding, binary_conv

# Of each of the 8 planes, so that XLA for the CPU counts in vectors.
_WORDS_AT_ONCE = 5
_FEW_ROWS = 8


def byte_dot(
  x: UInt8[Array, '*batch n_in'],
  w: UInt32[Array, 'words n'],
  *,
  centered: bool = False,
) -> Int32[Array, '*batch n']:
  """`x @ signs` of bytes, exactly, from bits alone.

  With the planes `x = sum_b 2^b x_b` and `up` ones among the signs of a column,
  `x @ signs = sum_b 2^b (up - popcount(x_b xor w))`.

  >>> w = pack_signs(jnp.array([[1.0], [-1.0], [1.0]]), 0)
  >>> x = jnp.array([200, 7, 0], jnp.uint8)
  >>> byte_dot(x, w), byte_dot(x, w, centered=True)
  (Array([193], dtype=int32), Array([131], dtype=int32))

  Args:
    x: rows of bytes.
    w: columns of signs, packed along the first axis by `pack_signs`.
    centered: multiplies `2 x - 255` instead of `x`; divided by 255 these are
      pixels in `-1 .. 1`.

  Raises:
    ValueError: a row has not as many bytes as a column has signs.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  size = x.shape[-1]
  require_words(w.shape[0], size)
  x, w = gathered(x, (x.ndim - 1,)), gathered(w, (0,))
  total = _differing(_planes(x.reshape(math.prod(x.shape[:-1]), size)), w)
  if centered:
    sums = 255 * size - 2 * total
  else:
    up = jnp.sum(jax.lax.population_count(w), 0, dtype=jnp.int32)
    sums = 255 * up - total
  return sums.reshape(*x.shape[:-1], w.shape[1])


def byte_conv(
  x: UInt8[Array, 'n height width channels'],
  kernel: UInt32[Array, 'rows columns words out'],
  strides: tuple[int, int] = (1, 1),
  padding: Padding = 'VALID',
  groups: int = 1,
  *,
  centered: bool = False,
) -> Int32[Array, 'n out_height out_width out']:
  """Convolution of bytes with signs, exactly, from bits alone.

  Args:
    x: `[n, height, width, groups * in]`.
    kernel: `pack_signs(w, 2)` of a kernel `[rows, columns, in, out]`.
    strides: of the window.
    padding: see `ops.xnor_conv`. What is padded adds nothing.
    groups: of channels; `out` must be a multiple of it.
    centered: multiplies `2 x - 255` instead of `x`.

  Raises:
    ValueError: `x`, strides, padding or groups do not fit.
  """
  conv = lambda x: binary_conv(x, kernel, strides, padding, groups)
  sums = conv(_planes(x).reshape(8 * x.shape[0], *x.shape[1:]))
  sums = sums.reshape(8, x.shape[0], *sums.shape[1:])
  # A plane as signs is 2 x_b - 1, and all eight together 2 x - 255.
  total = sum(2**b * sums[b] for b in range(8))
  if centered:
    return total
  return (total + 255 * conv(jnp.ones((1, *x.shape[1:]), bool))) // 2


def _planes(x):
  places = jnp.arange(8, dtype=x.dtype).reshape(8, *(1,) * x.ndim)
  return (x >> places) & 1 == 1


def _differing(planes, w):
  """`sum_b 2^b popcount(x_b xor w)` of planes `[8, m, n_in]`."""
  m, n = planes.shape[1], w.shape[1]
  if jax.default_backend() == 'cpu' and m >= _FEW_ROWS and w.size:
    return _by_words(pack_signs(planes), w)
  rows = pack_signs(planes).reshape(8 * m, w.shape[0])
  counts = differing_bits(rows, w).reshape(8, m, n)
  return sum(2**b * counts[b] for b in range(8))


def _by_words(planes, w):
  """All planes of some words at a time, the rows innermost.

  A word of a column then meets eight words of each row while it is at hand.
  """
  rest = -w.shape[0] % _WORDS_AT_ONCE
  x = jnp.pad(jnp.moveaxis(planes, 1, 2), ((0, 0), (0, rest), (0, 0)))
  w = jnp.pad(w.T, ((0, 0), (0, rest)))

  def add(i, total):
    place = i * _WORDS_AT_ONCE
    rows = jax.lax.dynamic_slice_in_dim(x, place, _WORDS_AT_ONCE, 1)
    columns = jax.lax.dynamic_slice_in_dim(w, place, _WORDS_AT_ONCE, 1)
    for b in range(8):
      count = 0
      for k in range(_WORDS_AT_ONCE):
        differs = rows[b, k] ^ columns[:, k, None]
        count = count + jax.lax.population_count(differs)
      total = total + (count << b).astype(jnp.int32)
    return total

  zero = jnp.zeros_like(w[:, :1] ^ x[0, :1], jnp.int32)
  return jax.lax.fori_loop(0, w.shape[1] // _WORDS_AT_ONCE, add, zero).T

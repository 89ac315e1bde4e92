"""Signs as bits, 32 in a word."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Shaped, UInt32

WORD = 32


def pack_signs(
  x: Bool[Array, '*shape'] | Float[Array, '*shape'], axis: int = -1
) -> UInt32[Array, '...']:
  """Packs the signs along an axis into words of 32 bits.

  Bit `i % 32` of word `i // 32` is one where `x_i >= 0`, which stands for `+1`;
  the bits that fill up the last word are zero. With `k` entries the axis gets
  `ceil(k / 32)` words.

  >>> pack_signs(jnp.array([1.0, -1.0, 0.0, -2.0, 3.0]))
  Array([21], dtype=uint32)

  Args:
    x: floats, of which the signs are taken, or `x >= 0` itself.
    axis: to be packed.
  """
  axis = axis % x.ndim
  up = gathered(x if x.dtype == bool else x >= 0, (axis,))
  size = x.shape[axis]
  words = -(-size // WORD)
  widths = [(0, 0)] * x.ndim
  widths[axis] = (0, words * WORD - size)
  shape = (*x.shape[:axis], words, WORD, *x.shape[axis + 1 :])
  bits = jnp.pad(up, widths).reshape(shape).astype(jnp.uint32)
  places = jnp.arange(WORD, dtype=jnp.uint32)
  places = places.reshape(WORD, *(1,) * (x.ndim - 1 - axis))
  return jnp.sum(bits << places, axis + 1, dtype=jnp.uint32)


def unpack_signs(
  words: UInt32[Array, '...'],
  size: int,
  axis: int = -1,
  dtype: jax.typing.DTypeLike = jnp.float32,
) -> Shaped[Array, '...']:
  """The `+1` and `-1` that `pack_signs` packed along an axis.

  >>> unpack_signs(jnp.array([21], jnp.uint32), 5)
  Array([ 1., -1.,  1., -1.,  1.], dtype=float32)

  Args:
    words: as `pack_signs` returns them.
    size: how many entries the axis had.
    axis: that was packed.
    dtype: of the result.

  Raises:
    ValueError: that many entries do not take that many words.
  """
  axis = axis % words.ndim
  require_words(words.shape[axis], size)
  words = gathered(words, (axis,))
  places = jnp.arange(WORD, dtype=jnp.uint32)
  places = places.reshape(WORD, *(1,) * (words.ndim - 1 - axis))
  bits = (jnp.expand_dims(words, axis + 1) >> places) & 1
  shape = (*words.shape[:axis], -1, *words.shape[axis + 1 :])
  if not words.size:
    shape = (*words.shape[:axis], size, *words.shape[axis + 1 :])
    return jnp.ones(shape, dtype)
  bits = jax.lax.slice_in_dim(bits.reshape(shape), 0, size, axis=axis)
  return jnp.where(bits == 1, 1, -1).astype(dtype)


def require_words(words: int, size: int) -> None:
  """Raises a `ValueError` unless `size` signs take that many words."""
  if size < 0 or words != -(-size // WORD):
    raise ValueError(
      f'{size} signs do not take {words} words of {WORD} bits: pass how many '
      'signs were packed.'
    )


def gathered(
  x: Shaped[Array, '*shape'], axes: tuple[int, ...]
) -> Shaped[Array, '*shape']:
  """The same array, with these axes whole on each device of its mesh."""
  sharding = jax.typeof(x).sharding
  spec = list(sharding.spec)
  if all(spec[a] is None for a in axes):
    return x
  for a in axes:
    spec[a] = None
  return jax.sharding.reshard(
    x, NamedSharding(sharding.mesh, PartitionSpec(*spec))
  )

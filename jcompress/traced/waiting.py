"""Values that are computed only after others, whatever the compiler prefers.

Compilers run what depends on nothing as early as they like: those for CPUs drop
`jax.lax.optimization_barrier` before they choose an order. What they keep is
that a value comes before what is computed from it. So a signal, an integer that
is zero in a way that they do not see, is taken from the one and mixed into the
bits of the other.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Shaped

Signal = Int32[Array, '']


def signal(values: Sequence[Any]) -> Signal:
  """A zero that is there once the values are: from an entry of each.

  Under `vmap` it is one for the whole batch. It has no derivative.

  Args:
    values: arrays; those that are empty, or of keys, are not waited for.

  >>> signal([jnp.array([jnp.nan, 1.0]), jnp.array(-1)])
  Array(0, dtype=int32)
  """
  ones = [x for x in map(jnp.asarray, values) if x.size and _bits(x)]
  # So many ones are in no number of 64 bits or fewer.
  found = [jax.lax.population_count(_word(x)) for x in ones]
  zeros = [x.astype(jnp.int32) >> 7 for x in found]
  return jax.lax.optimization_barrier(sum(zeros, jnp.int32(0)))


def after(x: Any, zero: Signal) -> Any:
  """A tree of arrays, bit for bit as it is, not there before the signal.

  Complex numbers and keys in it wait for nothing.

  >>> after(jnp.array([-0.0, 2.5]), signal([jnp.ones(3)]))
  Array([-0. ,  2.5], dtype=float32)
  """
  return jax.tree.map(lambda one: _mixed(jnp.asarray(one), zero), x)


def anew(x: Shaped[Array, '*shape'], zero: Signal) -> Shaped[Array, '*shape']:
  """An array as it is, for a loop that is to compute from it in each pass.

  Compilers take what stays the same out of loops, even if it is as large as the
  array and is kept for all of them then. With a signal of what changes in each
  pass nothing is taken out; but of numbers of 16 bits a copy.

  Args:
    x: floats.
    zero: from what changes in each pass.
  """
  if _bits(x) < 32:  # a choice would be one of float32, taken out of the loop
    return _mixed(x, zero)
  return jnp.where(zero == 0, x, jnp.zeros([], x.dtype))


def _mixed(x, zero):
  if not _bits(x):
    return x
  if x.dtype == bool:
    return x ^ (zero != 0)
  words = x if jnp.issubdtype(x.dtype, jnp.integer) else _as_words(x)
  words = words ^ zero.astype(words.dtype)
  if words.dtype == x.dtype:
    return words
  return jax.lax.bitcast_convert_type(words, x.dtype)


@jax.custom_batching.custom_vmap
def _first(x: Shaped[Array, '...']) -> Shaped[Array, '']:
  if jax.typeof(x).sharding.mesh.empty:
    return x[(0,) * x.ndim]
  return jnp.max(x)  # one entry of what lies on several devices cannot be cut


@_first.def_vmap
def _first_of_batch(axis_size, in_batched, x):
  return _first(x[0]), False


def _word(x):
  """The first entry as an unsigned integer of at least 8 bits."""
  one = jax.lax.stop_gradient(_first(jax.lax.stop_gradient(x)))
  if one.dtype == bool:
    return one.astype(jnp.uint8)
  if _bits(one) < 8:
    return (one != 0).astype(jnp.uint8)
  return _as_words(one)


def _as_words(x):
  return jax.lax.bitcast_convert_type(x, jnp.dtype(f'uint{_bits(x)}'))


def _bits(x):
  """How many bits an entry has; none for what is not waited for."""
  if x.dtype == bool:
    return 8
  if jnp.issubdtype(x.dtype, jnp.integer):
    return jnp.iinfo(x.dtype).bits
  if jnp.issubdtype(x.dtype, jnp.floating):
    return jnp.finfo(x.dtype).bits
  return 0

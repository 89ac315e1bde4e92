"""Exact thresholds by counting: reductions only, so that they run in a step.

A sort of a few million floats takes seconds on XLA:CPU and does not shard; ten
or twenty passes of counting find the same threshold to the last bit.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jcompress.numerics.counts import count_dtype, counting


class _Search(NamedTuple):
  """A bracket of the cut; codes are bits of floats, 2^17 of them 1.5 %."""

  step: Int[Array, '']
  low: Int[Array, '']
  high: Int[Array, '']
  above_low: Int[Array, '']  # how many codes are >= low
  above_high: Int[Array, '']
  gap: Int[Array, '']  # how far the next gallop goes


def largest_mask(
  scores: Any,
  keep: Int[Array, ''] | int,
  guess: Float[Array, ''] | float = 0.0,
) -> Any:
  """Masks of the `keep` largest scores of a whole tree, exactly that many.

  Equal scores are kept in the order of leaves and of entries.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    keep: how many entries to keep, `0 .. size of the tree`.
    guess: of the threshold; a good one halves the time, none changes the mask.

  Returns:
    Tree of boolean arrays.
  """
  size = _size(scores)
  with counting(size):
    keep = jnp.asarray(keep).astype(count_dtype(size))
    return _largest_mask(scores, keep, guess)


@jax.jit  # so that equal shapes are compiled once where this is not traced
def _largest_mask(scores, keep, guess):
  leaves, treedef = jax.tree.flatten(scores)
  codes = [_as_ordered_int(x) for x in leaves]
  cut = _kth_largest_code(codes, keep, guess)
  count = lambda masks: sum(jnp.sum(m, dtype=keep.dtype) for m in masks)
  missing = keep - count([c > cut for c in codes])
  ties = [c == cut for c in codes]
  end = jax.lax.cond(
    count(ties) == missing,
    lambda: jnp.asarray(sum(x.size for x in leaves), keep.dtype),
    lambda: _index_of_last(ties, missing),
  )
  indices = _indices(leaves, keep.dtype)
  masks = [
    (c > cut) | (tie & (index < end))
    for c, tie, index in zip(codes, ties, indices, strict=True)
  ]
  return jax.tree.unflatten(treedef, masks)


def kth_largest(
  scores: Any,
  k: Int[Array, ''] | int,
  guess: Float[Array, ''] | float = 0.0,
) -> Float[Array, '']:
  """The `k`-th largest score of a whole tree; infinite for `k = 0`.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    k: rank, `0 .. size of the tree`.
    guess: of the result; a good one halves the time, none changes it.
  """
  size = _size(scores)
  with counting(size):
    k = jnp.asarray(k).astype(count_dtype(size))
    return _kth_largest(scores, k, guess)


@jax.jit
def _kth_largest(scores, k, guess):
  codes = [_as_ordered_int(x) for x in jax.tree.leaves(scores)]
  value = jax.lax.bitcast_convert_type(
    _kth_largest_code(codes, k, guess),
    jnp.float32,
  )
  return jnp.where(k == 0, jnp.float32(jnp.inf), value)


def _size(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def _as_ordered_int(x: Float[Array, '*shape']) -> Int[Array, '*shape']:
  # Floats that are not negative are ordered as the integers of their bits.
  return jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)


def _kth_largest_code(codes, k, guess):
  """The largest `c` with at least `k` codes `>= c`.

  Keeps `count(>= low) >= k > count(>= high)`: gallops away from the guess until
  both are known, then interpolates twice for each bisection, and only bisects
  once that has taken long. A cut that leaves exactly `k` ends the search.
  """
  count = lambda c: sum(jnp.sum(x >= c, dtype=k.dtype) for x in codes)
  size = jnp.asarray(_size(codes), k.dtype)
  top = jnp.int32(jnp.iinfo(jnp.int32).max)
  guess = _as_ordered_int(jnp.asarray(guess, jnp.float32))

  def is_open(search):
    return (search.high - search.low > 1) & (search.above_low != k)

  def body(s):
    width = s.high - s.low
    wide = lambda n: n.astype(jnp.float32)
    share = (wide(s.above_low - k) + 0.5) / wide(s.above_low - s.above_high)
    bisects = (s.step % 3 == 2) | (s.step > 12)
    step = jnp.select(
      [s.step == 0, bisects, s.high == top, s.low == 0],
      [guess, width // 2, s.gap, width - s.gap],
      (share * wide(width)).astype(jnp.int32),
    )
    middle = s.low + jnp.clip(step, 1, width - 1)
    above = count(middle)
    enough = above >= k
    return _Search(
      s.step + 1,
      jnp.where(enough, middle, s.low),
      jnp.where(enough, s.high, middle),
      jnp.where(enough, above, s.above_low),
      jnp.where(enough, s.above_high, above),
      8 * jnp.minimum(s.gap, 2**26),
    )

  zero, none = jnp.int32(0), jnp.zeros([], k.dtype)
  start = _Search(zero, zero, top, size, none, jnp.int32(2**17))
  low = jax.lax.while_loop(is_open, body, start).low
  least = [jnp.min(x, where=x >= low, initial=top) for x in codes]
  return functools.reduce(jnp.minimum, least, top)


def _indices(leaves, dtype):
  start, indices = 0, []
  for x in leaves:
    flat = jax.lax.iota(dtype, x.size)
    indices.append(start + flat.reshape(x.shape))
    start += x.size
  return indices


def _index_of_last(ties, wanted):
  """The smallest `end` such that `wanted` ties have an index below it."""
  indices = _indices(ties, wanted.dtype)
  size = _size(ties)

  def body(_, bounds):
    low, high = bounds
    middle = (low + high) // 2
    count = sum(
      jnp.sum(t & (i < middle), dtype=wanted.dtype)
      for t, i in zip(ties, indices, strict=True)
    )
    enough = count >= wanted
    return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

  start = jnp.zeros([], wanted.dtype), jnp.asarray(size, wanted.dtype)
  _, high = jax.lax.fori_loop(0, size.bit_length() + 1, body, start)
  return high

"""Exact thresholds by counting: reductions only, so that they run in a step.

A sort of a few million floats takes seconds on XLA:CPU and does not shard; a
dozen passes of counting find the same threshold to the last bit.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def largest_mask(scores: Any, keep: Int[Array, ''] | int) -> Any:
  """Masks of the `keep` largest scores of a whole tree, exactly that many.

  Equal scores are kept in the order of leaves and of entries.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    keep: how many entries to keep, `0 .. size of the tree`.

  Returns:
    Tree of boolean arrays.
  """
  leaves, treedef = jax.tree.flatten(scores)
  keep = jnp.asarray(keep, jnp.int32)
  codes = [_as_ordered_int(x) for x in leaves]
  cut = _kth_largest_code(codes, keep)
  count = lambda masks: sum(jnp.sum(m, dtype=jnp.int32) for m in masks)
  missing = keep - count([c > cut for c in codes])
  ties = [c == cut for c in codes]
  end = jax.lax.cond(
    count(ties) == missing,
    lambda: jnp.asarray(sum(x.size for x in leaves), jnp.int32),
    lambda: _index_of_last(ties, missing),
  )
  masks = [
    (c > cut) | (tie & (index < end))
    for c, tie, index in zip(codes, ties, _indices(leaves), strict=True)
  ]
  return jax.tree.unflatten(treedef, masks)


def kth_largest(scores: Any, k: Int[Array, ''] | int) -> Float[Array, '']:
  """The `k`-th largest score of a whole tree; infinite for `k = 0`.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    k: rank, `0 .. size of the tree`.
  """
  codes = [_as_ordered_int(x) for x in jax.tree.leaves(scores)]
  k = jnp.asarray(k, jnp.int32)
  value = jax.lax.bitcast_convert_type(_kth_largest_code(codes, k), jnp.float32)
  return jnp.where(k == 0, jnp.inf, value)


def _as_ordered_int(x: Float[Array, '*shape']) -> Int[Array, '*shape']:
  # Floats that are not negative are ordered as the integers of their bits.
  return jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)


def _kth_largest_code(codes, k):
  """The largest `c` with at least `k` codes `>= c`.

  Keeps `count(>= low) >= k > count(>= high)`. Two steps of interpolation in
  three shrink the interval fast, the bisection in between halves it surely; a
  cut that leaves exactly `k` ends the search, usually after a dozen counts.
  """
  count = lambda c: sum(jnp.sum(x >= c, dtype=jnp.int32) for x in codes)

  def is_open(bounds):
    _, low, high, above_low, _ = bounds
    return (high - low > 1) & (above_low != k)

  def body(bounds):
    i, low, high, above_low, above_high = bounds
    width = high - low
    share = (above_low - k + 0.5) / (above_low - above_high)
    step = jnp.where(i % 3 == 0, width // 2, (share * width).astype(jnp.int32))
    middle = low + jnp.clip(step, 1, width - 1)
    above = count(middle)
    enough = above >= k
    return (
      i + 1,
      jnp.where(enough, middle, low),
      jnp.where(enough, high, middle),
      jnp.where(enough, above, above_low),
      jnp.where(enough, above_high, above),
    )

  size = jnp.int32(sum(x.size for x in codes))
  top = jnp.int32(jnp.iinfo(jnp.int32).max)
  start = jnp.int32(0), jnp.int32(0), top, size, jnp.int32(0)
  _, low, *_ = jax.lax.while_loop(is_open, body, start)
  least = [jnp.min(x, where=x >= low, initial=top) for x in codes]
  return functools.reduce(jnp.minimum, least, top)


def _indices(leaves):
  start, indices = 0, []
  for x in leaves:
    flat = jax.lax.iota(jnp.int32, x.size)
    indices.append(start + flat.reshape(x.shape))
    start += x.size
  return indices


def _index_of_last(ties, wanted):
  """The smallest `end` such that `wanted` ties have an index below it."""
  indices = _indices(ties)
  size = sum(t.size for t in ties)

  def body(_, bounds):
    low, high = bounds
    middle = (low + high) // 2
    count = sum(
      jnp.sum(t & (i < middle), dtype=jnp.int32)
      for t, i in zip(ties, indices, strict=True)
    )
    enough = count >= wanted
    return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

  start = jnp.int32(0), jnp.int32(size)
  _, high = jax.lax.fori_loop(0, size.bit_length() + 1, body, start)
  return high

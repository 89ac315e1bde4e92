"""Exact thresholds by counting: reductions only, so that they run in a step.

A sort of a few million floats takes seconds on XLA:CPU and does not shard; five
or ten passes, each counting above two places, find the same threshold to the
last bit.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int

from jcompress.numerics.counts import (
  count_above,
  count_dtype,
  count_true,
  counting,
)
from jcompress.one_by_one import one_by_one
from jcompress.prune.tie_break import index_of_last
from jcompress.traced import waiting

_TOP = 2**31 - 1
_NEAR = 2**17  # so many codes are 1.5 %


class _Search(NamedTuple):
  """A bracket of the cut; codes are bits of floats."""

  step: Int[Array, '']
  low: Int[Array, '']
  high: Int[Array, '']
  above_low: Int[Array, '']  # how many codes are >= low
  above_high: Int[Array, '']
  gap: Int[Array, '']  # how far the next gallop goes
  cuts: Bool[Array, '']  # whether the last step took away less than two thirds


class _Sums(NamedTuple):
  total: Float[Array, '']
  positive: Int[Array, '']


def largest_mask(
  scores: Any,
  keep: Int[Array, ''] | int,
  guess: Float[Array, ''] | float | None = None,
  factors: Any = None,
) -> Any:
  """Masks of the `keep` largest scores of a whole tree, exactly that many.

  Equal scores are kept in the order of leaves and of entries.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    keep: how many entries to keep, `0 .. size of the tree`.
    guess: of the threshold, by default as if scores were magnitudes of a
      normal; a good one halves the time, none changes the mask.
    factors: tree of numbers above 0: the scores are then any weights, and
      `|w| * factor` is ranked, computed in each pass and not kept.

  Returns:
    Tree of boolean arrays.
  """
  size = _size(scores)
  with counting(size):
    keep = jnp.asarray(keep).astype(count_dtype(size))
    return _largest_mask(scores, keep, guess, factors)


@jax.jit  # so that equal shapes are compiled once where this is not traced
def _largest_mask(scores, keep, guess, factors):
  leaves, treedef = jax.tree.flatten(scores)
  factors = jax.tree.leaves(factors) or [None] * len(leaves)
  found = _search(leaves, factors, keep, guess)
  cut, missing = found.low, keep - found.above_high
  tied = lambda x, factor: jnp.atleast_1d(_code(x, factor) == cut)
  # Unless exactly that many are left, the bracket is one code wide.
  end = jax.lax.cond(
    found.above_low == keep,
    lambda: jnp.asarray(_size(leaves), keep.dtype),
    lambda: index_of_last(tied, leaves, factors, missing),
  )
  masks = []
  for x, factor, index in zip(
    leaves, factors, _indices(leaves, keep.dtype), strict=True
  ):
    code = _code(x, factor)
    masks.append((code > cut) | ((code == cut) & (index < end)))
  return jax.tree.unflatten(treedef, masks)


def kth_largest(
  scores: Any,
  k: Int[Array, ''] | int,
  guess: Float[Array, ''] | float | None = None,
) -> Float[Array, '']:
  """The `k`-th largest score of a whole tree; infinite for `k = 0`.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    k: rank, `0 .. size of the tree`.
    guess: of the result, as of `largest_mask`.
  """
  size = _size(scores)
  with counting(size):
    k = jnp.asarray(k).astype(count_dtype(size))
    return _kth_largest(scores, k, guess)


@jax.jit
def _kth_largest(scores, k, guess):
  leaves = jax.tree.leaves(scores)
  low = _search(leaves, [None] * len(leaves), k, guess).low
  top = jnp.int32(_TOP)
  codes = [_as_ordered_int(x) for x in leaves]
  least = [jnp.min(x, where=x >= low, initial=top) for x in codes]
  code = functools.reduce(jnp.minimum, least, top)
  value = jax.lax.bitcast_convert_type(code, jnp.float32)
  return jnp.where(k == 0, jnp.float32(jnp.inf), value)


def _size(leaves):
  return sum(x.size for x in jax.tree.leaves(leaves))


def _as_ordered_int(x: Float[Array, '*shape']) -> Int[Array, '*shape']:
  # Floats that are not negative are ordered as the integers of their bits.
  return jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)


def _score(x, factor):
  return x if factor is None else jnp.abs(x.astype(jnp.float32)) * factor


def _code(x, factor):
  return _as_ordered_int(_score(x, factor))


def _counts(leaves, factors, bounds, dtype, step):
  """How many codes are at least each of two bounds, one leaf after the other.

  What is counted is computed in each step and for one leaf at a time: else it
  would be kept for all of them, and that is as much as they are.
  """
  few = fewer = jnp.zeros([], dtype)
  for x, factor in zip(leaves, factors, strict=True):
    x = waiting.anew(x, waiting.signal([step, few, fewer]))
    more = count_above(_code(x, factor), bounds, dtype)
    few, fewer = few + more[0], fewer + more[1]
  return few, fewer


def _search(leaves, factors, k, guess):
  """The last bracket: a `low` with exactly `k` codes `>= low`, or one code.

  Keeps `count(>= low) >= k > count(>= high)`. It gallops away from the guess
  until both are known, then looks on either side of where the `k`-th should be,
  and cuts into thirds where that has not helped or takes long.
  """
  size = jnp.asarray(_size(leaves), k.dtype)
  if guess is None:
    guess = _as_if_normal(leaves, factors, k)
  guess = jnp.maximum(_as_ordered_int(jnp.asarray(guess, jnp.float32)), 0)
  wide = lambda n: n.astype(jnp.float32)

  def is_open(search):
    return (search.high - search.low > 1) & (search.above_low != k)

  def body(s):
    width = s.high - s.low
    inside = wide(s.above_low - s.above_high)
    share = (wide(s.above_low - k) + 0.5) / inside
    # The rank of a place deviates by half a root; and densities bend.
    off = jnp.minimum(0.8 / jnp.sqrt(inside) + 1 / 64, 1 / 3)
    at = lambda part: (part * wide(width)).astype(jnp.int32)
    cases = [s.step == 0, s.cuts | (s.step > 9), s.high == _TOP, s.low == 0]
    below = [guess - _NEAR, width // 3, s.gap, width - 4 * s.gap]
    above = [guess + _NEAR, width // 3 * 2, 4 * s.gap, width - s.gap]
    first = jnp.select(cases, below, at(share - off))
    second = jnp.select(cases, above, at(share + off))
    first, second = (s.low + jnp.clip(x, 1, width - 1) for x in (first, second))
    many, few = _counts(leaves, factors, (first, second), k.dtype, s.step)
    third = lambda x, y, z: jnp.where(few >= k, x, jnp.where(many >= k, y, z))
    low, high = third(second, first, s.low), third(s.high, second, first)
    return _Search(
      s.step + 1,
      low,
      high,
      third(few, many, s.above_low),
      third(s.above_high, few, many),
      16 * jnp.minimum(s.gap, 2**24),
      (high - low > width // 3) & (s.step > 1),
    )

  zero, none = jnp.int32(0), jnp.zeros([], k.dtype)
  gap, cuts = jnp.int32(8 * _NEAR), jnp.bool_(False)
  start = _Search(zero, zero, jnp.int32(_TOP), size, none, gap, cuts)
  return jax.lax.while_loop(is_open, body, start)


def _as_if_normal(leaves, factors, k):
  """What `k` scores would reach if they were magnitudes of one normal."""

  def of(x, factor):
    score = _score(x, factor)
    total = jnp.sum(score, dtype=jnp.float32)
    return _Sums(total, count_true(score > 0, k.dtype))

  found = one_by_one(of, leaves, factors)
  total = sum(s.total for s in found)
  count = sum(s.positive for s in found)
  count = jnp.maximum(count, 1).astype(jnp.float32)
  share = jnp.clip(k.astype(jnp.float32) / count, 1e-7, 1)
  deviation = np.float32(np.sqrt(np.pi / 2)) * total / count
  return -deviation * ndtri(share / 2)


def _indices(leaves, dtype):
  start, indices = 0, []
  for x in leaves:
    flat = jax.lax.iota(dtype, x.size)
    indices.append(start + flat.reshape(x.shape))
    start += x.size
  return indices

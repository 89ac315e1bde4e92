"""Which of equal scores are kept: the first, as many as are wanted."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jcompress import tree
from jcompress.numerics.counts import count_rows
from jcompress.one_by_one import one_by_one


def index_of_last(
  tied: Callable[..., Bool[Array, '...']],
  leaves: Sequence[Array],
  factors: Sequence[Any],
  wanted: Int[Array, ''],
) -> Int[Array, '']:
  """The smallest `end` such that `wanted` ties have an index below it.

  Finds the row, along the last axis, and then the place in it.

  Args:
    tied: of a leaf and its factor, with an axis or more; computed where it is
      counted and not kept.
    leaves: their entries are numbered one after the other.
    factors: of the leaves, numbers or None.
    wanted: `1 .. ` the ties that there are.
  """

  def count(x, factor):
    rows = count_rows(tied(x, factor), wanted.dtype)
    return tree.replicated(rows).reshape(-1)

  counts = one_by_one(count, leaves, factors)
  rows = jnp.concatenate(counts)
  row = _prefix(rows, wanted) - 1
  places = jax.lax.iota(wanted.dtype, len(rows))
  rest = wanted - jnp.sum(rows, where=places < row, dtype=wanted.dtype)
  start, end = 0, jnp.zeros([], wanted.dtype)
  for x, factor, n in zip(leaves, factors, map(len, counts), strict=True):
    t = tied(x, factor)
    numbers = jax.lax.iota(wanted.dtype, n).reshape(*t.shape[:-1], 1)
    mine = jnp.any(t & (numbers == row), axis=tuple(range(t.ndim - 1)))
    column = _prefix(tree.replicated(mine).astype(wanted.dtype), rest)
    here = (row >= 0) & (row < n)
    end = jnp.where(here, start + row * t.shape[-1] + column, end)
    start, row = start + t.size, row - n
  return end


def _prefix(counts, wanted):
  """How many of the first of some counts add up to what is wanted."""
  places = jax.lax.iota(wanted.dtype, len(counts))

  def body(_, bounds):
    low, high = bounds
    middle = (low + high) // 2
    total = jnp.sum(counts, where=places < middle, dtype=wanted.dtype)
    enough = total >= wanted
    return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

  start = jnp.zeros([], wanted.dtype), jnp.asarray(len(counts), wanted.dtype)
  return jax.lax.fori_loop(0, len(counts).bit_length() + 1, body, start)[1]

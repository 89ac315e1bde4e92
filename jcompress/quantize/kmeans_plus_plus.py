"""Where k-means begins: vectors far from each other, as chance has it."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from jcompress.numerics import exact

_UNROLL = 8


def choose_start(
  x: Float32[Array, 'n d'],
  h: Float32[Array, ' n'],
  marks: Float32[Array, 'k candidates'],
) -> tuple[Int32[Array, ' k'], Int32[Array, ' n']]:
  """Chooses `k` vectors one by one, each the best of a few drawn ones.

  A vector is drawn with a probability that grows with its importance times the
  squared distance to the nearest vector chosen before.

  Args:
    x: vectors.
    h: importance of each, `>= 0`, some positive.
    marks: random numbers in `0 .. 1`.

  Returns:
    The positions of the chosen vectors, and for each vector which of them is
    the nearest.

  References:
    Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding,
      2007.
  """
  k, (n, d) = len(marks), x.shape
  width = min(d, _UNROLL)
  columns = jnp.pad(x.T, ((0, -d % width), (0, 0))).reshape(-1, width, n)
  draws = jax.vmap(_draw, (None, 0))

  def squares_to(candidates):
    def add(squares, columns):
      # XLA is fifty times slower at a sum over a leading axis.
      for column in columns:
        squares += jnp.square(column[None] - column[candidates, None])
      return squares, None

    start = jnp.zeros((len(candidates), n), jnp.float32)
    return jax.lax.scan(add, start, columns)[0]

  def choose(j, carry):
    squares, codes, chosen = carry
    mass = h * squares
    candidates = draws(mass, marks[j])
    candidates = jnp.where((mass > 0).any(), candidates, chosen[j - 1])
    new = squares_to(candidates)
    best = (h[None] * jnp.minimum(squares[None], new)).sum(1).argmin()
    codes = jnp.where(new[best] < squares, j, codes)
    squares = jnp.minimum(squares, new[best])
    return squares, codes, chosen.at[j].set(candidates[best])

  first = draws(h, marks[0, :1])
  start = (
    squares_to(first)[0],
    jnp.zeros(n, jnp.int32),
    jnp.zeros(k, jnp.int32).at[0].set(first[0]),
  )
  _, codes, chosen = jax.lax.fori_loop(1, k, choose, start)
  return chosen, codes


def _draw(mass, mark):
  """Where the running sum reaches a share of the total; never at mass zero."""
  side = math.isqrt(len(mass) - 1) + 1
  rows = jnp.pad(mass, (0, side * side - len(mass))).reshape(side, side)
  totals = rows.sum(1)
  wanted = mark * totals.sum()
  row, before = _reach(totals, wanted)
  column, _ = _reach(rows[row], wanted - before)
  return row * side + column


def _reach(mass, wanted):
  size = len(mass)
  upper = jnp.triu(jnp.ones((size, size), jnp.float32))
  sums = exact.matmul(mass, upper)  # running ones
  numbers = jnp.arange(size, dtype=jnp.int32)
  first = jnp.where((mass > 0) & (sums > wanted), numbers, size).min()
  last = jnp.where(mass > 0, numbers, 0).max()
  i = jnp.minimum(first, last)  # rounding can put the total out of reach
  return i, sums[i] - mass[i]

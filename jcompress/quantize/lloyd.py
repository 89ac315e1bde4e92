"""Lloyd's iteration for vectors, with clusters that may run empty."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from jcompress.numerics import exact

_TILE = 2**20  # distances at a time


class Fit(NamedTuple):
  """Centers, what is near them, and what is wrong with them."""

  centers: jax.Array  # [k, d]
  codes: jax.Array  # [n], int32
  errors: jax.Array  # [n], importance times squared distance
  shifts: jax.Array  # [k, d], sums of importance times (x - center)
  mass: jax.Array  # [k], sums of importance
  distortions: jax.Array  # [k], sums of errors


def nearest(
  points: Float32[Array, 'n homogeneous'], centers: Float32[Array, 'k d']
) -> Int32[Array, ' n']:
  """Codes of homogeneous points `(x, 1)`, some at a time.

  With `(-c, c^2 / 2)` the scores come out of one product, and two plain minima
  beside each other are much faster than one `argmin`.
  """
  n, k = len(points), len(centers)
  norms = jnp.square(centers).sum(1, keepdims=True) / 2
  lines = jnp.concatenate([-centers, norms], 1)

  def search(points):
    scores = exact.matmul(lines, points.T)
    numbers = jax.lax.broadcasted_iota(jnp.float32, scores.shape, 0)
    is_least = scores <= scores.min(0, keepdims=True)
    return jnp.where(is_least, numbers, float(k)).min(0).astype(jnp.int32)

  size = min(n, max(1, _TILE // k))
  tiles = -(-n // size)
  points = jnp.pad(points, ((0, tiles * size - n), (0, 0)))
  codes = jax.lax.map(search, points.reshape(tiles, size, -1))
  return codes.reshape(-1)[:n]


def measure(
  x: Float32[Array, 'n d'],
  h: Float32[Array, ' n'],
  centers: Float32[Array, 'k d'],
  codes: Int32[Array, ' n'],
) -> Fit:
  """What follows from centers, and from codes of vectors of importance `h`."""
  offsets = x - centers[codes]
  errors = h * jnp.square(offsets).sum(1)
  parts = jnp.concatenate(
    [offsets * h[:, None], h[:, None], errors[:, None]], 1
  )
  sums = jnp.zeros((len(centers), parts.shape[1]), jnp.float32)
  sums = sums.at[codes].add(parts)
  return Fit(centers, codes, errors, sums[:, :-2], sums[:, -2], sums[:, -1])


def improve(
  x: Float32[Array, 'n d'],
  fit: Fit,
  fit_to: Callable[[jax.Array], Fit],
  iterations: int | Int32[Array, ''],
) -> Fit:
  """Moves centers and gives vectors new ones as long as that helps.

  Args:
    x: the vectors.
    fit: to start from.
    fit_to: the fit of the vectors to given centers.
    iterations: at most; as long as a cluster is empty, up to `k` more.
  """
  k = len(fit.centers)

  def goes_on(carry):
    fit, improves, i = carry
    has_empty = (fit.mass == 0).any()
    more = (i < iterations) | (has_empty & (i < iterations + k))
    return improves & more & (fit.distortions.sum() > 0)

  def step(carry):
    fit, _, i = carry
    new = fit_to(_moved(x, fit))
    improves = new.distortions.sum() < fit.distortions.sum()
    keep = functools.partial(jnp.where, improves)
    return jax.tree.map(keep, new, fit), improves, i + 1

  return jax.lax.while_loop(
    goes_on, step, (fit, jnp.bool_(True), jnp.int32(0))
  )[0]


def _moved(x, fit: Fit):
  """Centers at the means; those of empty clusters where they help most."""
  is_empty = fit.mass == 0
  mass = jnp.where(is_empty, 1, fit.mass)[:, None]
  # Means as shifts: the mean of equal vectors is that vector, without rounding.
  centers = fit.centers + fit.shifts / mass

  def split():
    k, n = len(centers), len(x)
    worst = jnp.zeros(k, jnp.float32).at[fit.codes].max(fit.errors)
    is_worst = fit.errors == worst[fit.codes]
    numbers = jnp.where(is_worst, jnp.arange(n, dtype=jnp.int32), n)
    farthest = jnp.full(k, n, jnp.int32).at[fit.codes].min(numbers)
    donors = jnp.argsort(-fit.distortions)[jnp.cumsum(is_empty) - 1]
    is_moved = is_empty & (fit.distortions[donors] > 0)
    return jnp.where(is_moved[:, None], x[farthest[donors]], centers)

  return jax.lax.cond(is_empty.any(), split, lambda: centers)

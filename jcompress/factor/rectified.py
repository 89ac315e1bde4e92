"""Factors of a layer behind which negative responses are set to zero."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.factor.svd import fold, response_factors
from jcompress.numerics import exact
from jcompress.numerics.wide import wide


def rectified_factors(
  w: Float[Array, '...'],
  bias: Float[Array, ' n_out'],
  x: Float[Array, 'n n_in'],
  rank: int,
  *,
  y: Float[Array, 'n n_out'] | None = None,
  schedule: Sequence[tuple[float, int]] = ((0.01, 25), (1.0, 25)),
  ridge: float = 1e-7,
  in_axes: Sequence[int] | None = None,
) -> tuple[Float[Array, '...'], Float[Array, '...'], Float[Array, ' n_out']]:
  """`response_factors` for what is behind a ReLU: `|relu(y) - relu(z)|` counts.

  A response below zero may be anything below zero. With auxiliary `z`,

      min |relu(y) - relu(z)|^2 + pull |z - (x left right + b)|^2

  in turn by reduced-rank regression on `z`, and by the best `z` for each
  response, see `rectified_targets`. The pull grows, until `z` is what the
  factors give. Where it ends is not the optimum; of it and of what
  `response_factors` gives, the one that is better on these rows is returned.

  Args:
    w: kernel, as of `svd_factors`.
    bias: of the layer; zeros where it has none.
    x: inputs, as of `response_factors`.
    rank: as of `response_factors`.
    y: targets before the ReLU; the layer's own responses if not given.
    schedule: pulls, each with how many rounds.
    ridge: as of `response_factors`.
    in_axes: as of `svd_factors`.

  Returns:
    `left` and `right` as of `svd_factors`, and the bias.

  Raises:
    ValueError: as of `response_factors`; a pull that is not positive.

  References:
    Zhang et al., Accelerating Very Deep Convolutional Networks for
    Classification and Detection, 2015, arXiv 1505.06798.
  """
  if any(pull <= 0 for pull, _ in schedule):
    raise ValueError(f'The pulls of {tuple(schedule)} must be > 0.')
  matrix, unfold = fold(w, in_axes)
  matrix = wide(matrix)
  start: Any = response_factors(matrix, bias, x, rank, y=y, ridge=ridge)
  found = _alternate(matrix, bias, x, y, rank, tuple(schedule), ridge)
  targets = _responses(x, matrix, bias) if y is None else wide(y)
  errors = [_error(targets, x, f) for f in (start, found)]
  better = errors[1] < errors[0]
  left, right, shift = (
    jnp.where(better, b, a) for a, b in zip(start, found, strict=True)
  )
  left, right = unfold(left.astype(w.dtype), right.astype(w.dtype))
  return left, right, shift


def rectified_targets(
  y: Float[Array, '*shape'], m: Float[Array, '*shape'], pull: float
) -> Float[Array, '*shape']:
  """`argmin_z (relu(y) - relu(z))^2 + pull (z - m)^2`, entry by entry.

  Either a `z` below zero, the nearest to `m`, or the mean of `relu(y)` and `m`,
  the latter weighted by the pull: whichever costs less.

  >>> y, m = jnp.array([-1.0, 2.0]), jnp.array([0.5, 1.0])
  >>> rectified_targets(y, m, 1.0).tolist()
  [0.25, 1.5]

  References:
    Zhang et al., 2015, arXiv 1505.06798.
  """
  target = jnp.maximum(y, 0)
  below = jnp.minimum(m, 0)
  above = jnp.maximum((pull * m + target) / (pull + 1), 0)
  cost = lambda z: (
    jnp.square(target - jnp.maximum(z, 0)) + pull * jnp.square(z - m)
  )
  return jnp.where(cost(below) <= cost(above), below, above)


@functools.partial(jax.jit, static_argnames=('rank', 'schedule', 'ridge'))
def _alternate(matrix, bias, x, y, rank, schedule, ridge):
  fit = lambda z: response_factors(matrix, bias, x, rank, y=z, ridge=ridge)
  targets = _responses(x, matrix, bias) if y is None else wide(y)
  found = fit(targets)
  for pull, rounds in schedule:

    def turn(_, found, pull=pull):
      return fit(rectified_targets(targets, _given(x, found), pull))

    found = jax.lax.fori_loop(0, rounds, turn, found)
  return found


def _responses(x, matrix, bias):
  return exact.matmul(wide(x), wide(matrix)) + wide(bias)[None]


def _given(x, factors):
  left, right, bias = (wide(f) for f in factors)
  return exact.matmul(exact.matmul(wide(x), left), right) + bias[None]


def _error(targets, x, factors):
  missed = jnp.maximum(targets, 0) - jnp.maximum(_given(x, factors), 0)
  return jnp.sum(jnp.square(missed))

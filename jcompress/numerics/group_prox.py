"""Proximal operators of group norms: the step that makes whole groups zero.

Each minimizes `1/2 sum (z - w)^2 + penalty(z)` over `z`, exactly.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def soft_threshold(
  w: Float[Array, '*shape'], threshold: Float[Array, '...'] | float
) -> Float[Array, '*shape']:
  """Moves each entry towards zero by the threshold, and stops there.

  `argmin 1/2 (z - w)^2 + threshold |z|`.

  Args:
    w: any array.
    threshold: `>= 0`.

  >>> soft_threshold(jnp.array([1.5, -0.5, 0.25]), 0.5).tolist()
  [1.0, 0.0, 0.0]
  """
  wide = w.astype(jnp.float32)
  over = jnp.abs(wide) - threshold
  return jnp.where(over <= 0, 0, jnp.sign(wide) * over).astype(w.dtype)


def group_soft_threshold(
  w: Float[Array, '*shape'],
  threshold: Float[Array, '...'] | float,
  axes: tuple[int, ...] | None = None,
) -> Float[Array, '*shape']:
  """Shortens each group by the threshold, and to zero if it is no longer.

  `argmin 1/2 |z - w|^2 + threshold |z| = max(0, 1 - threshold / |w|) w` with
  Euclidean norms.

  Args:
    w: any array.
    threshold: `>= 0`.
    axes: what a group lies along: there is one group for each index along the
      others. All axes if not given: the array is one group.

  >>> group_soft_threshold(jnp.array([3.0, 4.0]), 1.0).tolist()
  [2.4000000953674316, 3.200000047683716]
  >>> group_soft_threshold(jnp.array([3.0, 4.0]), 5.0).tolist()
  [0.0, 0.0]

  References:
    Zhou, Alvarez & Porikli, Less is more: towards compact CNNs, 2016.
  """
  wide = w.astype(jnp.float32)
  norm = safe_sqrt(jnp.sum(jnp.square(wide), axes, keepdims=True))
  return (wide * shrinkage(norm, threshold)).astype(w.dtype)


def sparse_group_threshold(
  w: Float[Array, '*shape'],
  l1: Float[Array, '...'] | float,
  threshold: Float[Array, '...'] | float,
  axes: tuple[int, ...] | None = None,
) -> Float[Array, '*shape']:
  """Thresholds the entries first, then the groups: exact for both together.

  `argmin 1/2 |z - w|^2 + l1 sum |z_i| + threshold |z|`; in the other order it
  would not be.

  Args:
    w: any array.
    l1: `>= 0`.
    threshold: `>= 0`.
    axes: as of `group_soft_threshold`.

  References:
    Simon, Friedman, Hastie & Tibshirani, A Sparse-Group Lasso, 2013.
  """
  return group_soft_threshold(soft_threshold(w, l1), threshold, axes)


def shrinkage(
  norm: Float[Array, '*shape'], threshold: Float[Array, '...'] | float
) -> Float[Array, '*shape']:
  """What a group of a norm is multiplied with: `max(0, 1 - threshold / norm)`.

  One where the threshold is zero, also for a group that is zero.
  """
  factor = 1 - threshold / jnp.where(norm == 0, 1, norm)
  ends = (norm <= threshold) & (jnp.asarray(threshold) > 0)
  return jnp.where(ends, 0, factor)


def safe_sqrt(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """The root of a sum of squares, with the gradient zero at zero.

  There `jax.grad` of the plain norm is NaN; zero is one of the subgradients.
  """
  is_zero = x == 0
  return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, x)))

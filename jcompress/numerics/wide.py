"""Arithmetic in at least float32, and sums of numbers of any magnitude."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def wide(x: Float[Array | np.ndarray | np.generic, '*shape']) -> Any:
  """The same numbers in float32, or in float64 if they are that already."""
  # Not by promote_types, which strict promotion forbids.
  return x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def mean_size(
  w: Float[Array, '*shape'], axes: tuple[int, ...] | None = None
) -> Float[Array, '...']:
  """`mean |w|` over some axes, which stay; 0 of none.

  Divides before it adds: the sum of large weights would overflow.
  """
  axes = tuple(range(w.ndim)) if axes is None else axes
  count = max(1, math.prod(w.shape[i] for i in axes))
  size = jnp.abs(wide(w))
  return jnp.sum(selected(size / count, size), axes, keepdims=True)


def selected(x: Float[Array, '*shape'], size: Float[Array, '*shape']) -> Any:
  """The same numbers, where they are zero for a size of zero; to be summed.

  XLA:CPU adds up what ends in a select in a third of the time that it takes for
  products, which it computes one by one on the way.
  """
  return jnp.where(size == 0, jnp.zeros([], x.dtype), x)


def to_unit(
  w: Float[Array, '*shape'],
) -> tuple[Float[Array, '*shape'], jax.Array]:
  """Weights times the power of two that brings the largest to `1/2 .. 1`.

  Returns:
    The product, exact but for what is a 2^126th of the largest, in at least
    float32, and the exponent by which `ldexp` takes it back.
  """
  w = wide(w)
  _, exponent = jnp.frexp(jnp.max(jnp.abs(w), initial=0))
  return jnp.ldexp(w, -exponent), exponent


def tree_to_unit(weights: Any) -> Any:
  """The arrays of a tree in float32, times one power of two: see `to_unit`."""
  leaves, treedef = jax.tree.flatten(weights)
  if not leaves:
    return weights
  leaves = [x.astype(jnp.float32) for x in leaves]
  sizes = [jnp.max(jnp.abs(x), initial=0) for x in leaves]
  _, exponent = jnp.frexp(jnp.max(jnp.stack(sizes), initial=0))
  return jax.tree.unflatten(treedef, [jnp.ldexp(x, -exponent) for x in leaves])

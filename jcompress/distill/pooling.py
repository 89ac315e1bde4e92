"""Responses of two layers brought to the same positions."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float


def pooled(
  first: Float[Array, 'batch *space channels'],
  second: Float[Array, 'batch *space_too channels_too'],
  reduce: Callable[..., Any],
) -> tuple[Array, Array]:
  """The same, the one with more positions reduced over windows.

  Args:
    first: `[batch, height, width, channels]`, or any number of such axes.
    second: with as many axes.
    reduce: such as `jnp.mean` or `jnp.max`.

  Raises:
    ValueError: sizes of one are no multiples of those of the other.
  """
  a, b = first.shape[1:-1], second.shape[1:-1]
  smaller = tuple(map(min, a, b))
  fits = len(a) == len(b) and smaller in (a, b)
  if not fits or any(n % m for n, m in zip(a + b, smaller * 2, strict=True)):
    raise ValueError(
      f'One layer has positions {a}, the other {b}; take layers of the same '
      'positions, or of which one has multiples of those of the other.'
    )
  return _to(first, smaller, reduce), _to(second, smaller, reduce)


def _to(x, space, reduce):
  for axis, size in enumerate(space, start=1):
    if x.shape[axis] != size:
      shape = (*x.shape[:axis], size, -1, *x.shape[axis + 1 :])
      x = reduce(x.reshape(shape), axis=axis + 1)
  return x

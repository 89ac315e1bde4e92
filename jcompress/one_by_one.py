"""Large trees in little memory: one leaf after the other."""

from collections.abc import Callable
from typing import Any

import jax

from jcompress.traced import waiting


def one_by_one(f: Callable[..., Any], *trees: Any, is_leaf: Any = None) -> Any:
  """Maps a function over trees, under `jit` one leaf after the other.

  XLA is free to begin all leaves at once, and then keeps what each needs on the
  way. Here a leaf waits for the result of the one before: what `f` needs is
  there once, for the largest leaf. For functions that need much memory; small
  ones are faster together.

  Args:
    f: of one leaf of each tree.
    *trees: the later ones may have trees where the first has leaves.
    is_leaf: as of `jax.tree.map`.
  """
  first, *others = trees
  leaves = jax.tree.leaves(first, is_leaf=is_leaf)
  outer: Any = jax.tree.structure(first, is_leaf=is_leaf)
  columns = [leaves, *(outer.flatten_up_to(t) for t in others)]
  found: list[Any] = []
  for row in zip(*columns, strict=True):
    if found and _is_traced((row, found[-1])):
      row = waiting.after(row, waiting.signal(jax.tree.leaves(found[-1])))
    found.append(f(*row))
  return outer.unflatten(found)


def _is_traced(tree):
  return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))

"""What methods share that train a fixed number of weights, never the same."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jcompress.mask import live_weights
from jcompress.numerics.counts import counting
from jcompress.prune.densities import Densities, active_counts
from jcompress.prune.threshold import largest_mask


def largest_among(scores: Any, among: Any, keep: Int[Array, ''] | int) -> Any:
  """Masks of the `keep` largest scores of some entries, exactly that many.

  All of these entries, where they are fewer. Ties: the first.

  Args:
    scores: tree of arrays, each entry `>= 0`; ranked together.
    among: tree of booleans, which entries may be chosen.
    keep: how many to choose, `>= 0`.

  Returns:
    Tree of boolean arrays.
  """
  # Shifted by a hair, so that a score of zero outranks what may not be chosen.
  tiny = jnp.finfo(jnp.float32).tiny
  rank = jax.tree.map(
    lambda s, a: jnp.where(a, jnp.maximum(s.astype(jnp.float32), tiny), 0),
    scores,
    among,
  )
  size = sum(a.size for a in jax.tree.leaves(among))
  with counting(size):
    best = largest_mask(rank, jnp.minimum(keep, size))
  return jax.tree.map(jnp.logical_and, best, among)


def random_masks(
  params: Any,
  sparsity: float,
  densities: str | Densities,
  *,
  zeros_grow: bool,
  keep_zeros: bool = False,
  seed: int,
) -> tuple[Any, Any]:
  """Draws which weights are active, and says which ever may be.

  Args:
    params: tree of arrays.
    sparsity: fraction of all weights that are not active.
    densities: see `active_counts`.
    zeros_grow: whether weights that are zero may be active. They are drawn
      after all others.
    keep_zeros: whether those of an array without others may not, either.
    seed: of the draw.

  Returns:
    Two trees of booleans like `params`.
  """
  leaves, treedef = jax.tree.flatten(params)
  counts = active_counts(params, sparsity, densities)
  keys = leaf_keys(jax.random.key(seed), params)
  pairs = [
    _draw(w, key, count, zeros_grow, keep_zeros)
    for w, key, count in zip(leaves, jax.tree.leaves(keys), counts, strict=True)
  ]
  return (
    jax.tree.unflatten(treedef, [mask for mask, _ in pairs]),
    jax.tree.unflatten(treedef, [live for _, live in pairs]),
  )


def leaf_keys(key: jax.Array, params: Any) -> Any:
  """A key for each array of a tree."""
  leaves, treedef = jax.tree.flatten(params)
  keys = [jax.random.fold_in(key, i) for i in range(len(leaves))]
  return jax.tree.unflatten(treedef, keys)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _draw(w, key, count, zeros_grow, keep_zeros):
  live = live_weights(w, keep_zeros) | zeros_grow
  draws = jax.random.uniform(key, w.shape, jnp.float32)
  rank = (w != 0).astype(jnp.float32) + draws
  return largest_among(rank, live, count), live

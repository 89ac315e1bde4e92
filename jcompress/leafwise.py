"""Lifts the functions of one array to a compressor of a tree."""

from collections.abc import Callable
from typing import Any

import jax

from jcompress.base import Compressor, Leaf, is_leaf, no_penalty, no_update
from jcompress.one_by_one import one_by_one
from jcompress.passing import checked


def leafwise(
  init: Callable[..., Any],
  view: Callable[..., Any],
  encode: Callable[..., Any],
  penalty: Callable[..., Any] = no_penalty,
  update: Callable[..., Any] = no_update,
) -> Compressor:
  """Lifts functions of one array to a compressor of a tree of arrays.

  Args:
    init: `w -> (latent, state)` for one array; both may be any pytree.
    view: `(latent, state) -> w`.
    encode: `(latent, state) -> Encoded`.
    penalty: `(latent, state) -> scalar`; the penalties of all arrays are added.
    update: `(latent, state, grad) -> (latent, state)`.
  """

  def map_leaves(f, *trees):
    return jax.tree.map(f, *trees, is_leaf=is_leaf)

  def init_tree(params):
    outer = jax.tree.structure(params)
    pairs = outer.flatten_up_to(one_by_one(init, params))
    latent = outer.unflatten(_wrap(l) for l, _ in pairs)
    return latent, outer.unflatten(s for _, s in pairs)

  def view_tree(latent, state):
    return map_leaves(lambda l, s: view(_unwrap(l), s), latent, state)

  def encode_tree(latent, state):
    return one_by_one(
      lambda l, s: encode(_unwrap(l), s), latent, state, is_leaf=is_leaf
    )

  def penalty_tree(latent, state):
    parts = map_leaves(lambda l, s: penalty(_unwrap(l), s), latent, state)
    return sum(jax.tree.leaves(parts))

  def update_tree(latent, state, grads):
    outer = jax.tree.structure(latent, is_leaf=is_leaf)
    trees = [outer.flatten_up_to(t) for t in (latent, state, grads)]
    pairs = [
      update(_unwrap(l), s, _unwrap(g)) for l, s, g in zip(*trees, strict=True)
    ]
    latent = outer.unflatten(_wrap(l) for l, _ in pairs)
    return latent, outer.unflatten(s for _, s in pairs)

  return checked(
    Compressor(
      init_tree,
      view_tree,
      encode_tree,
      no_penalty if penalty is no_penalty else penalty_tree,
      no_update if update is no_update else update_tree,
    )
  )


def _wrap(x):
  return x if isinstance(x, jax.Array) else Leaf(x)


def _unwrap(x):
  return x.value if isinstance(x, Leaf) else x

"""The algebra's one type: a compressor is five pure functions of trees."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import encoded, tree

Params = Any
Latent = Any
State = Any


def no_penalty(latent: Latent, state: State) -> jax.typing.ArrayLike:
  del latent, state
  return 0.0


def no_update(
  latent: Latent, state: State, grads: Latent
) -> tuple[Latent, State]:
  del grads
  return latent, state


class Compressor(NamedTuple):
  """How a network is compressed, as five pure functions.

  Attributes:
    init: `params -> (latent, state)`. The latent is what the optimizer moves:
      floats only. The state is everything else (masks, indices, counters,
      keys): arrays only.
    view: `(latent, state) -> params`, what the model sees. Differentiable in
      the latent; the gradient rule of a method is the derivative of its view.
    encode: `(latent, state) -> encoded`, what is shipped. `decode(encoded)` is
      what must be evaluated.
    penalty: `(latent, state) -> scalar`, added to the loss.
    update: `(latent, state, grads) -> (latent, state)`, after each step of the
      optimizer: projects the latent, refreshes the state.
  """

  init: Callable[[Params], tuple[Latent, State]]
  view: Callable[[Latent, State], Params]
  encode: Callable[[Latent, State], Any]
  penalty: Callable[[Latent, State], jax.typing.ArrayLike] = no_penalty
  update: Callable[[Latent, State, Latent], tuple[Latent, State]] = no_update


class Leaf(NamedTuple):
  """The latent of one array, where it is not itself one array."""

  value: Any


def checked(compressor: Compressor) -> Compressor:
  """Makes `init` and `encode` refuse NaN and inf outside `jit`."""

  def init(params):
    tree.require_finite(params, 'init')
    return compressor.init(jax.tree.map(jnp.asarray, params))

  def encode(latent, state):
    tree.require_finite(compressor.view(latent, state), 'encode')
    return compressor.encode(latent, state)

  return compressor._replace(init=init, encode=encode)


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
    return jax.tree.map(f, *trees, is_leaf=_is_leaf)

  def init_tree(params):
    outer = jax.tree.structure(params)
    pairs = [init(w) for w in jax.tree.leaves(params)]
    latent = outer.unflatten(_wrap(l) for l, _ in pairs)
    return latent, outer.unflatten(s for _, s in pairs)

  def view_tree(latent, state):
    return map_leaves(lambda l, s: view(_unwrap(l), s), latent, state)

  def encode_tree(latent, state):
    return map_leaves(lambda l, s: encode(_unwrap(l), s), latent, state)

  def penalty_tree(latent, state):
    parts = map_leaves(lambda l, s: penalty(_unwrap(l), s), latent, state)
    return sum(jax.tree.leaves(parts))

  def update_tree(latent, state, grads):
    outer = jax.tree.structure(latent, is_leaf=_is_leaf)
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


def identity() -> Compressor:
  """The params as they are: the dense baseline, and the unit of `chain`."""
  return Compressor(_identity_init, _identity_view, _identity_encode)


def _identity_init(params):
  tree.require_finite(params, 'init')
  return jax.tree.map(jnp.asarray, params), ()


def _identity_view(latent, state):
  del state
  return latent


def _identity_encode(latent, state):
  del state
  tree.require_finite(latent, 'encode')
  return jax.tree.map(encoded.Dense, latent)


def _is_leaf(x):
  return isinstance(x, Leaf)


def _wrap(x):
  return x if isinstance(x, jax.Array) else Leaf(x)


def _unwrap(x):
  return x.value if isinstance(x, Leaf) else x

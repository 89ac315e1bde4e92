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


class Parts(NamedTuple):
  """The latent of `partition`, where a rule has one for several leaves."""

  leaves: Any  # of the params: the latent of a leaf in its place, or None
  shared: tuple[Any, ...]  # of each rule: its latent, or None


class Passed(NamedTuple):
  """The state beside what passes by: leaves that are no floats."""

  state: Any
  leaves: Any  # of the params, None where there are floats


def map_state(function: Callable[[Any], Any], state: Any) -> Any:
  """Applies a function to the state of a compressor, not to what passes by."""
  new = function(inner_state(state))
  return state._replace(state=new) if isinstance(state, Passed) else new


def inner_state(state: Any) -> Any:
  return state.state if isinstance(state, Passed) else state


def is_leaf(x: Any) -> bool:
  return isinstance(x, Leaf)


def passing(compressor: Compressor) -> Compressor:
  """Keeps leaves that are no floats away from a compressor of floats.

  Integers, booleans and keys go into the state, are part of the view, and are
  shipped as they are. What `init` returns has buffers of its own.
  """

  def init(params):
    params = jax.tree_util.tree_map_with_path(_as_array, params)
    floats, others = tree.split_floats(params)
    latent, state = compressor.init(floats)
    if jax.tree.leaves(others):
      state = Passed(state, others)
    return tree.owned((latent, state))

  def view(latent, state):
    latent, state = tree.pure((latent, state), 'OptState')
    return _beside(compressor.view, latent, state, lambda others: others)

  def encode(latent, state):
    latent, state = tree.pure((latent, state), 'OptState')
    ship = lambda others: jax.tree.map(encoded.as_it_is, others)
    return _beside(compressor.encode, latent, state, ship)

  def update(latent, state, grads):
    latent, new = compressor.update(latent, inner_state(state), grads)
    return latent, map_state(lambda _: new, state)

  return Compressor(
    init,
    view,
    encode,
    no_penalty
    if compressor.penalty is no_penalty
    else lambda latent, state: compressor.penalty(latent, inner_state(state)),
    no_update if compressor.update is no_update else update,
  )


def checked(compressor: Compressor) -> Compressor:
  """Makes `init` and `encode` refuse NaN and inf outside `jit`.

  Leaves that are no floats pass by, see `passing`.
  """

  def init(params):
    tree.require_finite(params, 'init')
    return compressor.init(params)

  def encode(latent, state):
    tree.require_finite(compressor.view(latent, state), 'encode')
    return compressor.encode(latent, state)

  return passing(compressor._replace(init=init, encode=encode))


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


def _as_array(path, x):
  if isinstance(x, jax.Array):
    return x
  try:
    return jnp.asarray(x)
  except (TypeError, ValueError) as e:
    raise ValueError(
      f'{tree.path_string(path)} is a {type(x).__name__}; params are trees of '
      'arrays. Filter the arrays out of the model first.'
    ) from e


def _beside(function, latent, state, others):
  """What a function gives for the floats, and what passes by beside it."""
  if not isinstance(state, Passed):
    return function(latent, state)
  return tree.join(
    function(latent, state.state),
    others(state.leaves),
    is_leaf=encoded.is_encoded,
  )


def _wrap(x):
  return x if isinstance(x, jax.Array) else Leaf(x)


def _unwrap(x):
  return x.value if isinstance(x, Leaf) else x

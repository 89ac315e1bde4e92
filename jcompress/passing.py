"""What no compressor of floats touches passes by: integers, booleans, keys."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import encoded, tree
from jcompress.base import Compressor, no_penalty, no_update
from jcompress.finite import require_finite


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


def passing(compressor: Compressor, computes: bool = True) -> Compressor:
  """Keeps leaves that are no floats away from a compressor of floats.

  Integers, booleans and keys go into the state, are part of the view, and are
  shipped as they are. What `init` returns has buffers of its own. One that
  computes refuses params of nothing else.
  """

  def init(params):
    params = jax.tree_util.tree_map_with_path(_as_array, params)
    floats, others = tree.split_floats(params)
    if computes and jax.tree.leaves(others) and not jax.tree.leaves(floats):
      raise ValueError(
        f'There is nothing to compress: {", ".join(tree.paths(others))} are '
        'integers, booleans or keys, which are shipped as they are.'
      )
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
    require_finite(params, 'init')
    return compressor.init(params)

  def encode(latent, state):
    require_finite(compressor.view(latent, state), 'encode')
    return compressor.encode(latent, state)

  return passing(compressor._replace(init=init, encode=encode))


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
  found = _apply(function, latent, inner_state(state))
  if not isinstance(state, Passed):
    return found
  return tree.join(found, others(state.leaves), is_leaf=encoded.is_encoded)


def _apply(function, latent, state):
  """Calls a function; an error of form says whose latent and state it takes."""
  try:
    return function(latent, state)
  except (AttributeError, IndexError, KeyError, TypeError) as error:
    cause: Exception = error
  except ValueError as error:
    if not re.search('pytree|structure|zip', str(error)):
      raise
    cause = error
  raise ValueError(
    'The compressor does not take this latent and state. Are they its own, of '
    f'its init or of its last update? ({type(cause).__name__}: {cause})'
  ) from cause

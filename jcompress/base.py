"""The algebra's one type: a compressor is five pure functions of trees."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

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


def require_compressor(given: Any, where: str) -> None:
  """Raises a `ValueError` unless a compressor was given, called and alone."""
  if isinstance(given, Compressor):
    return
  name = getattr(given, '__name__', None)
  what = f'{given!r:.60} of type {type(given).__name__}'
  raise ValueError(
    f'{where} takes compressors, such as magnitude_prune(0.9), and was given '
    + (f'{name} itself: call it, as {name}(...).' if name else f'{what}.')
  )


class Leaf(NamedTuple):
  """The latent of one array, where it is not itself one array."""

  value: Any


class Parts(NamedTuple):
  """The latent of `partition`, where a rule has one for several leaves."""

  leaves: Any  # of the params: the latent of a leaf in its place, or None
  shared: tuple[Any, ...]  # of each rule: its latent, or None


def is_leaf(x: Any) -> bool:
  return isinstance(x, Leaf)

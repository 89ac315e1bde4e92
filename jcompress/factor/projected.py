"""Weights that are brought back to a set every few steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress.base import Compressor, no_penalty
from jcompress.encoded import Dense
from jcompress.factor.scheme import require_kernels
from jcompress.passing import checked


class Projected(NamedTuple):
  calls: jax.Array  # of update so far, int32


def projected(
  project: Callable[[Any, jax.Array], Any],
  every: int,
  ship: Callable[[Any], Any] = lambda w: w,
) -> Compressor:
  """Trains kernels freely, and changes them after every few updates.

  Args:
    project: `(kernels, updates before this one) -> kernels`.
    every: so many updates.
    ship: `kernels -> kernels`, what is encoded.
  """

  def init(params):
    require_kernels(params)
    return params, Projected(jnp.zeros([], jnp.int32))

  def view(w, state):
    del state
    return w

  def encode(w, state):
    del state
    dense: Any = Dense
    return jax.tree.map(dense, ship(w))

  def update(w, state, grads):
    del grads
    calls = state.calls + 1
    change = lambda: project(w, state.calls)
    if every == 1:
      return change(), Projected(calls)
    w = jax.lax.cond(calls % every == 0, change, lambda: w)
    return w, Projected(calls)

  return checked(Compressor(init, view, encode, no_penalty, update))

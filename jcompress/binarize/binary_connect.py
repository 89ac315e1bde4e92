"""BinaryConnect: weights of plus and minus one, trained through real ones."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress import tree
from jcompress.base import Compressor
from jcompress.binarize.latent import (
  clip_to,
  distinct_keys,
  draw_key,
  fans,
  happens,
  next_key,
  require_choice,
)
from jcompress.encoded import Dense, Signs
from jcompress.leafwise import leafwise
from jcompress.numerics.estimators import hard_sigmoid, sign, straight_through


class ConnectState(NamedTuple):
  key: jax.Array  # of the signs of this step


def binary_connect(
  stochastic: bool = False, *, ships: str | None = None, seed: int = 0
) -> Compressor:
  """Shows the model the signs of the weights, and trains the weights.

  `view = sgn(w)` (eq. 1), or `+1` with probability `clip((w + 1) / 2, 0, 1)`
  and else `-1` (eq. 2), one draw a step, the same forward and backward. The
  gradient reaches the real weights as it is; after the optimizer's step they
  are clipped to `-1 .. 1`. Without `scale_by_glorot` on the updates they move
  too slowly to change sign.

  Args:
    stochastic: draws the signs.
    ships: `'signs'`, one bit a weight, or `'weights'`, the real ones at their
      full width, which is what the paper tests after stochastic training. The
      default is the paper's: signs, or weights where `stochastic`.
    seed: of the draws.

  Raises:
    ValueError: `ships` is something else.

  References:
    Courbariaux et al., BinaryConnect: Training Deep Neural Networks with
    binary weights during propagations, 2015, arXiv 1511.00363.
  """
  if ships is None:
    ships = 'weights' if stochastic else 'signs'
  require_choice('ships', ships, ('signs', 'weights'))

  def init(w):
    return w, ConnectState(jax.random.key(seed)) if stochastic else ()

  def view(w, state):
    if not stochastic:
      return straight_through(sign(w), w)  # eq. 1
    up = happens(draw_key(state.key), hard_sigmoid(w))
    return straight_through(jnp.where(up, 1, -1).astype(w.dtype), w)  # eq. 2

  def update(w, state, grad):
    del grad
    if stochastic:
      state = ConnectState(next_key(state.key))
    return clip_to(w, 1), state

  def encode(w, state):
    del state
    if ships == 'weights':
      return Dense(clip_to(w, 1))
    return Signs(w >= 0, jnp.ones([], w.dtype))

  return distinct_keys(leafwise(init, view, encode, update=update))


def scale_by_glorot(
  pattern: str = tree.KERNELS, *, power: int = 1
) -> optax.GradientTransformation:
  """Multiplies updates of kernels by `((n_in + n_out) / 1.5) ** (power / 2)`.

  The inverse of Glorot's coefficient: binary weights are larger than those it
  is made for. It belongs after the optimizer, since Adam does not see the scale
  of a gradient: `optax.chain(optax.adam(1e-3), scale_by_glorot())`.

  Args:
    pattern: regular expression of the paths of the latent that are scaled;
      those of weights are the paths of the params.
    power: 1 with Adam; the paper squares the coefficient with SGD.

  Raises:
    ValueError: `power` is neither 1 nor 2; in `init`, the pattern matches no
      leaf, or one that is not a kernel `[..., in, out]`.

  References:
    Courbariaux et al., BinaryConnect, 2015, arXiv 1511.00363, section 2.5.
  """
  if power not in (1, 2):
    raise ValueError(f'power is {power}; it must be 1 (Adam) or 2 (SGD).')

  def factor(shape):
    return max(1e-3, sum(fans(shape)) / 1.5) ** (power / 2)

  def init(params):
    chosen, _ = tree.split(pattern, params)
    jax.tree.map(lambda x: factor(x.shape), chosen)
    return optax.EmptyState()

  def update(
    updates: Any, state: optax.EmptyState, params: Any = None
  ) -> tuple[Any, optax.EmptyState]:
    del params
    chosen, rest = tree.split(pattern, updates)
    scaled = jax.tree.map(lambda x: x * factor(x.shape), chosen)
    return tree.join(scaled, rest), state

  return optax.GradientTransformation(init, update)

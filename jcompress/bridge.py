"""A compressor and an optimizer as one stock optax transformation."""

from typing import Any, NamedTuple

import jax
import optax

from jcompress.base import Compressor


class CompressedState(NamedTuple):
  """Optimizer state of `as_optax`; `compressor.encode(latent, state)` ships."""

  latent: Any
  state: Any
  inner: optax.OptState


def as_optax(
  compressor: Compressor, tx: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
  """Turns a compressor and an optimizer into one optimizer of the params.

  An existing loop is compressed by one line: its params become the view of the
  compressor. The gradient of the params is pulled back through `view`, the
  optimizer moves the latent, and the update is the new view minus the params.
  From the second step on, params and view differ by at most one rounding.

  Args:
    compressor: any compressor.
    tx: what moves its latent.

  Returns:
    A transformation whose `update` must be given the params.
  """
  tx = optax.with_extra_args_support(tx)

  def init(params):
    latent, state = compressor.init(params)
    return CompressedState(latent, state, tx.init(latent))

  def update(grads, opt_state, params=None, **extra):
    if params is None:
      raise ValueError(
        'as_optax needs the params: call tx.update(grads, opt_state, params).'
      )
    latent, state, inner = opt_state
    _, pull = jax.vjp(lambda l: compressor.view(l, state), latent)
    (pulled,) = pull(grads)
    penalty = jax.grad(lambda l: compressor.penalty(l, state) + 0.0)(latent)
    pulled = optax.tree.add(pulled, penalty)
    updates, inner = tx.update(pulled, inner, latent, **extra)
    latent = optax.apply_updates(latent, updates)
    latent, state = compressor.update(latent, state, pulled)
    shown = compressor.view(latent, state)
    return optax.tree.sub(shown, params), CompressedState(latent, state, inner)

  return optax.GradientTransformationExtraArgs(init, update)

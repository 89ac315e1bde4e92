"""A compressor and an optimizer as one stock optax transformation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.experimental import checkify

from jcompress import tree
from jcompress.base import Compressor, require_compressor
from jcompress.optimizer import require_optimizer, start_optimizer


class CompressedState(NamedTuple):
  """Optimizer state of `as_optax`; `compressor.encode(latent, state)` ships."""

  latent: Any
  state: Any
  inner: optax.OptState
  calls: jax.Array  # of update so far, int32


def as_optax(
  compressor: Compressor, tx: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
  """Turns a compressor and an optimizer into one optimizer of the params.

  An existing loop is compressed by one line: its params become the view of the
  compressor. The gradient of the params is pulled back through `view`, the
  optimizer moves the latent, and the update is the new view minus the params.
  From the second step on, params and view differ by at most one rounding.

  Latent and state live in the optimizer state, which is a `CompressedState`:
  `compressor.encode(opt_state.latent, opt_state.state)` ships.

  It must be the last link: what comes after it in an `optax.chain`, such as
  `optax.scale(-0.1)`, changes the update, and the params are no longer the
  view. What shapes the step belongs into `tx`. Where that is seen it is an
  error: outside `jit`, and under `checkify` inside it.

  Leaves of the params that are integers or booleans get updates of zero, and
  any gradient of theirs is ignored; that of a PRNG key is `None`. The arrays of
  the optimizer state are its own: params and state may both be donated.

  With `flax.nnx` it is what `nnx.Optimizer` takes, and the state is
  `optimizer.opt_state`; see the example.

  Args:
    compressor: any compressor.
    tx: what moves its latent. Masks and labels of the form of the params fit
      where each leaf has a latent of its own.

  Returns:
    A transformation whose `update` must be given the params.

  Raises:
    ValueError: no compressor, or no optimizer; in `init`, an optimizer that
      does not take the latent; in
      `update`, no params, or in a third or later call outside `jit` params that
      are not what this optimizer made of them.
  """
  require_compressor(compressor, 'as_optax')
  require_optimizer(tx, 'as_optax')
  tx = optax.with_extra_args_support(tx)

  def init(params):
    params = tree.pure(params)
    latent, state = compressor.init(params)
    inner = start_optimizer(tx, latent, params)
    calls = jnp.zeros([], jnp.int32)
    return tree.owned(CompressedState(latent, state, inner, calls))

  def update(grads, opt_state, params=None, **extra):
    if params is None:
      raise ValueError(
        'as_optax needs the params: call tx.update(grads, opt_state, params).'
      )
    given = params
    grads, opt_state, params = tree.pure((grads, opt_state, params))
    latent, state, inner, calls = opt_state
    floats, _ = tree.split_floats(params)
    show = lambda l, s: tree.split_floats(compressor.view(l, s))[0]
    before, pull = jax.vjp(lambda l: show(l, state), latent)
    _require_followed(floats, before, calls)
    moves = lambda p, g: g if tree.is_float(p) else None
    (pulled,) = pull(jax.tree.map(moves, params, grads))
    penalty = jax.grad(lambda l: compressor.penalty(l, state) + 0.0)(latent)
    pulled = optax.tree.add(pulled, penalty)
    updates, inner = tx.update(pulled, inner, latent, **extra)
    latent = optax.apply_updates(latent, updates)
    latent, state = compressor.update(latent, state, pulled)
    updates = jax.tree.map(_update, params, compressor.view(latent, state))
    opt_state = CompressedState(latent, state, inner, calls + 1)
    return tree.like(updates, given), opt_state

  return optax.GradientTransformationExtraArgs(init, update)


def _update(old, new):
  if tree.is_float(old):
    return new - old
  return None if tree.is_key(old) else jnp.zeros_like(old)


def _require_followed(params, view, calls):
  """Raises unless params are the view, up to the rounding of a sum.

  The first update may go far, and leaves rounding errors of that size.
  """
  leaves = [jax.tree.leaves(t) for t in (params, view)]
  far = [_is_far(p, v) for p, v in zip(*leaves, strict=True) if p.size]
  if not far:
    return
  is_wrong = jnp.any(jnp.stack(far)) & (calls > 1)
  text = (
    'The params are not the view of the compressor: something else changed the '
    'last update, or the params. as_optax must be the last link of a chain; '
    'put what shapes the step, such as optax.scale, into its tx.'
  )
  if not isinstance(is_wrong, jax.core.Tracer):
    if is_wrong:
      raise ValueError(text)
  checkify.debug_check(~is_wrong, text)


def _is_far(param, view):
  precision = 8 * jnp.finfo(param.dtype).eps
  param, view = (jnp.asarray(x).astype(jnp.float32) for x in (param, view))
  largest = jnp.maximum(jnp.max(jnp.abs(param)), jnp.max(jnp.abs(view)))
  return jnp.any(jnp.abs(param - view) > precision * largest)

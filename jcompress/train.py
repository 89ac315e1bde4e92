"""The one train step: the same for every compressor."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress import tree
from jcompress.base import Compressor, require_compressor
from jcompress.optimizer import (
  require_optimizer,
  require_same_optimizer,
  start_optimizer,
)

LossFn = Callable[..., Any]
Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
  """All that a step changes: a pytree, ready for `scan` and checkpoints."""

  latent: Any  # what the optimizer moves
  state: Any  # masks, indices, counters, keys of the compressor
  opt_state: optax.OptState
  step: jax.Array  # steps so far, int32
  variables: Any = None  # mutable collections such as batch statistics
  key: Any = None  # of dropout; the step is folded in


def init_train_state(
  compressor: Compressor,
  tx: optax.GradientTransformation | optax.MultiSteps,
  params: Any,
  *,
  variables: Any = None,
  key: jax.Array | None = None,
) -> TrainState:
  """Starts training `params` as seen through a compressor.

  Args:
    compressor: how the params are compressed.
    tx: the optimizer of the latent.
    params: what the model's `apply` takes. They are copied, since `train_step`
      reuses the memory of its state.
    variables: mutable collections that the loss function reads and returns.
    key: where given, the loss function gets a fresh key in each step.

  Raises:
    ValueError: whatever `compressor.init` refuses, such as NaN; an optimizer
      that does not take the latent; no compressor or no optimizer.
  """
  require_compressor(compressor, 'init_train_state')
  require_optimizer(tx, 'init_train_state')
  latent, state = compressor.init(params)
  opt_state = start_optimizer(tx, latent, params)
  steps = jnp.zeros([], jnp.int32)
  start = TrainState(latent, state, opt_state, steps, variables, key)
  return tree.owned(start)


def train_step(
  loss_fn: LossFn,
  compressor: Compressor,
  tx: optax.GradientTransformation | optax.MultiSteps,
  *,
  compute_dtype: jax.typing.DTypeLike | None = None,
) -> Callable[[TrainState, Any], tuple[TrainState, Metrics]]:
  """Compiles the step `(train state, batch) -> (train state, metrics)`.

  The loss function is called as `loss_fn(params, batch)`; with `variables=`
  where the train state has variables, with `key=` where it has a key. It
  returns the loss, or `(loss, metrics)`, and where the train state has
  variables `(loss, metrics, new variables)`.

  Args:
    loss_fn: the loss of a batch, a scalar.
    compressor: how the params are compressed; its penalty is added.
    tx: the optimizer. With `optax.MultiSteps` the compressor is updated once
      for each step that is taken, with the accumulated gradient.
    compute_dtype: dtype in which the model sees floating params, such as
      `jnp.bfloat16`; latent, gradients and optimizer stay as they are.

  Returns:
    A jitted function that donates the train state it is given. Its metrics are
    `loss`, `penalty` and those of the loss function.

  Raises:
    ValueError: no compressor or no optimizer; in the first step, others than
      those with which the train state was made, or a loss function that does
      not take what it is called with; a train state that was given before.
  """

  require_compressor(compressor, 'train_step')
  require_optimizer(tx, 'train_step')

  def objective(latent, ts, batch):
    params = compressor.view(latent, ts.state)
    if compute_dtype is not None:
      params = _floats_as(params, compute_dtype)
    loss, metrics, variables = _call(loss_fn, params, batch, ts)
    penalty = jnp.asarray(compressor.penalty(latent, ts.state), jnp.float32)
    metrics = {'loss': loss, 'penalty': penalty, **metrics}
    return loss.astype(jnp.float32) + penalty, (metrics, variables)

  def step(ts, batch):
    require_same_optimizer(tx, ts.latent, ts.opt_state)
    gradient = jax.grad(objective, has_aux=True)
    grads, (metrics, variables) = gradient(ts.latent, ts, batch)
    updates, opt_state = tx.update(grads, ts.opt_state, ts.latent)
    latent = optax.apply_updates(ts.latent, updates)
    latent, state = _update(compressor, tx, ts, latent, opt_state, grads)
    ts = TrainState(latent, state, opt_state, ts.step + 1, variables, ts.key)
    return ts, metrics

  return _Step(jax.jit(step, donate_argnums=0))


class _Step:
  """A jitted step that knows why an array of its train state is gone."""

  def __init__(self, jitted):
    functools.update_wrapper(self, jitted)
    self._jitted = jitted

  def __call__(self, ts, batch):
    try:
      return self._jitted(ts, batch)
    except (RuntimeError, ValueError) as error:
      if not any(_is_gone(x) for x in jax.tree.leaves(ts)):
        raise
      raise ValueError(
        'This train state was given to a step before, which took over its '
        'memory. Go on with the one that the step returned, '
        '`ts, metrics = step(ts, batch)`; what is needed later must be copied '
        'first, by jax.tree.map(jnp.copy, ts).'
      ) from error

  def __getattr__(self, name):
    return getattr(self._jitted, name)


def _is_gone(x):
  return isinstance(x, jax.Array) and getattr(x, 'is_deleted', bool)()


def _call(loss_fn, params, batch, ts):
  """Calls the loss function with what it is due; sorts out what it returns."""
  extras = {}
  if ts.variables is not None:
    extras['variables'] = ts.variables
  if ts.key is not None:
    extras['key'] = jax.random.fold_in(ts.key, ts.step)
  _require_takes(loss_fn, params, batch, extras)
  out = loss_fn(params, batch, **extras)
  parts = out if isinstance(out, tuple) else (out,)
  wanted = 3 if ts.variables is not None else 2
  if len(parts) > wanted or (wanted == 3 and len(parts) != 3):
    form = {2: 'loss or (loss, metrics)', 3: '(loss, metrics, variables)'}
    raise ValueError(
      f'The loss function returned {len(parts)} values; with this train state '
      f'it must return {form[wanted]}.'
    )
  loss = parts[0]
  metrics = parts[1] if len(parts) > 1 else {}
  variables = parts[2] if len(parts) > 2 else None
  if jnp.shape(loss) != ():
    raise ValueError(
      f'The loss has shape {jnp.shape(loss)}; reduce it to a scalar, for '
      'example by its mean.'
    )
  return loss, metrics, variables


def _require_takes(loss_fn, params, batch, extras):
  try:
    inspect.signature(loss_fn).bind(params, batch, **extras)
  except TypeError as error:
    call = ', '.join(['params', 'batch', *(f'{name}=...' for name in extras)])
    raise ValueError(
      f'The loss function is called as loss_fn({call}), since this is what the '
      f'train state has, and does not take it: {error}.'
    ) from error
  except ValueError:  # a builtin does not tell its signature
    return


def _update(compressor, tx, ts, latent, opt_state, grads):
  if not isinstance(tx, optax.MultiSteps):
    return compressor.update(latent, ts.state, grads)
  # The running mean that MultiSteps itself hands to the optimizer.
  seen = ts.opt_state.mini_step
  grads = jax.tree.map(
    lambda mean, g: mean + (g - mean) / (seen + 1),
    ts.opt_state.acc_grads,
    grads,
  )
  return jax.lax.cond(
    tx.has_updated(opt_state),
    lambda: compressor.update(latent, ts.state, grads),
    lambda: (latent, ts.state),
  )


def _floats_as(params, dtype):
  cast = lambda x: x.astype(dtype) if tree.is_float(x) else x
  return jax.tree.map(cast, params)

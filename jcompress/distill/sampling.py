"""Stochastic gradient Langevin dynamics: training that samples networks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class SgldState(NamedTuple):
  """The key of the next draw, and the steps so far."""

  key: jax.Array
  steps: jax.Array


def sgld(
  learning_rate: float | optax.Schedule,
  examples: int,
  key: jax.Array,
  *,
  precision: float = 1.0,
) -> optax.GradientTransformation:
  """`w -> w - eta / 2 (N dL/dw + precision w) + N(0, eta)`.

  With small steps the params become draws from the posterior of a network with
  the prior `N(0, 1 / precision)`. Batches that are few of all examples add
  their own noise: draws spread a little too wide unless `eta` falls. A student
  that learns from such a teacher, one draw a step, learns the mean of what
  networks predict.

  Args:
    learning_rate: `eta`, positive, or a schedule.
    examples: `N`; gradients are those of a mean over examples, `L`.
    key: of the draws; it goes into the state.
    precision: of the prior of each weight, at least 0.

  Raises:
    ValueError: `examples` not positive, or a negative `precision`; in the
      update, no params are given.

  References:
    Welling & Teh, Bayesian Learning via Stochastic Gradient Langevin Dynamics,
      ICML 2011.
    Korattikara et al., Bayesian Dark Knowledge, 2015, arXiv 1506.04416.
  """
  if examples < 1 or precision < 0:
    raise ValueError(
      f'examples is {examples}, precision is {precision}; the one must be '
      'positive, the other not negative.'
    )

  def init(params: Any) -> SgldState:
    del params
    return SgldState(key, jnp.zeros([], jnp.int32))

  def update(grads, state, params=None):
    if params is None:
      raise ValueError(
        'sgld() needs the params: tx.update(grads, state, params).'
      )
    rate = learning_rate
    rate = jnp.float32(rate(state.steps) if callable(rate) else rate)
    leaves, treedef = jax.tree.flatten(grads)
    new, *keys = jax.random.split(state.key, len(leaves) + 1)

    def step(g, w, own):
      g, w32 = g.astype(jnp.float32), w.astype(jnp.float32)
      drift = examples * g + precision * w32
      noise = jax.random.normal(own, w.shape) * jnp.sqrt(rate)
      return (noise - rate / 2 * drift).astype(w.dtype)

    parts = zip(leaves, jax.tree.leaves(params), keys, strict=True)
    updates = treedef.unflatten(step(*part) for part in parts)
    return updates, SgldState(new, state.steps + 1)

  return optax.GradientTransformation(init, update)

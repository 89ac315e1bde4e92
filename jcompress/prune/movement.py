"""Movement pruning: weights go that training moves towards zero."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jcompress import tree
from jcompress.base import Compressor, Leaf, is_leaf
from jcompress.mask import apply_mask, encode_sparse, live_weights
from jcompress.numerics.counts import count_true
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.passing import checked
from jcompress.prune.magnitude import (
  kept_count,
  require_one_criterion,
)
from jcompress.prune.threshold import largest_mask


class ScoredWeights(NamedTuple):
  """The latent of one array."""

  weights: jax.Array  # of the dtype of the params
  scores: jax.Array  # the same, float32: what is pruned is up to them


class MovementState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  mask: Any  # of the params, bool: true where the weight is kept
  live: Any  # of the params, bool: false where it was zero at init


def movement_prune(
  sparsity: float | optax.Schedule | None = None,
  *,
  threshold: float | optax.Schedule | None = None,
  strength: float | optax.Schedule = 0.0,
  min_density: float = 0.005,
  every: int = 1,
  keep_zeros: bool = False,
) -> Compressor:
  """Prunes by scores that are trained with the weights.

  `view = w * mask(s)`. The mask keeps the weights of largest score `s`, and the
  gradient goes straight through it to the scores, `dL/ds = dL/dview * w`: the
  score of a weight falls while the loss wants it smaller, whether it is kept at
  present or not. Weights get a gradient where they are kept.

  Hard movement pruning keeps as many of each array as a sparsity leaves. Soft
  movement pruning keeps `sigmoid(s) > threshold`, and adds
  `strength * mean(sigmoid(s))` to the loss.

  Scores start at zero and are of size one or so in the end: give them a
  learning rate of their own, 1e-2 in the paper, and no weight decay, by
  `movement_labels`. For fine-tuning trained weights. Weights that are zero at
  `init` stay zero.

  Args:
    sparsity: fraction of the weights of each array to prune, `0 .. 1`, or a
      schedule of it over the calls of `update`, as `schedules.cubic_sparsity`.
      Exactly `round(sparsity * size)` are pruned, also among equal scores.
    threshold: instead of `sparsity`: tau, at least 0 and below 0.5, where
      scores start; or a schedule.
    strength: lambda, `>= 0`, or a schedule; only with `threshold`.
    min_density: only with `threshold`: fraction of an array that is kept even
      if fewer scores pass, `0 .. 1`.
    every: refreshes the mask in each `every`-th call of `update`, from the
      first call on.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: not exactly one of `sparsity` and `threshold`; one out of range;
      in `encode`, a sparsity that is due and no gradient so far.

  References:
    Sanh, Wolf & Rush, Movement Pruning: Adaptive Sparsity by Fine-Tuning, 2020,
    arXiv 2005.07683, sections 3 and 4.
  """
  _require_arguments(sparsity, threshold, strength, min_density)
  require_whole('every', every, 1)

  def find_mask(scores, mask, live, calls):
    s = jnp.where(live, scores, -jnp.inf)
    if sparsity is not None:
      return _highest(s, kept_count(sparsity, s, calls), mask) & live
    above = s > _logit(_at(threshold, calls))
    fewest = math.ceil(min_density * s.size)
    enough = count_true(above) >= fewest
    few = lambda: _highest(s, fewest, mask)
    return jax.lax.cond(enough, lambda: above, few) & live

  def init(params):
    live = jax.tree.map(lambda w: live_weights(w, keep_zeros), params)
    start = lambda w: Leaf(ScoredWeights(w, jnp.zeros_like(w, jnp.float32)))
    latent = jax.tree.map(start, params)
    return latent, MovementState(jnp.zeros([], jnp.int32), live, live)

  def part(latent, name):
    return jax.tree.map(
      lambda x: getattr(x.value, name), latent, is_leaf=is_leaf
    )

  def view(latent, state):
    def see(leaf, mask):
      w, s = leaf.value
      wide = jax.lax.stop_gradient(w).astype(jnp.float32)
      to_scores = wide * (s - jax.lax.stop_gradient(s))  # eq. 2
      value = apply_mask(w, mask)
      return straight_through(value, value + to_scores.astype(w.dtype))

    return jax.tree.map(see, latent, state.mask, is_leaf=is_leaf)

  def penalty(latent, state):
    if not (callable(strength) or strength):
      return 0.0
    pairs = zip(
      jax.tree.leaves(part(latent, 'scores')),
      jax.tree.leaves(state.live),
      strict=True,
    )
    total, count = jnp.float32(0), jnp.float32(0)
    for s, live in pairs:
      total += jnp.sum(jax.nn.sigmoid(s), where=live)
      count += jnp.sum(live, dtype=jnp.float32)
    return _at(strength, state.calls) * total / jnp.maximum(count, 1)

  def update(latent, state, grads):
    del grads
    mask = jax.lax.cond(
      state.calls % every == 0,
      lambda: jax.tree.map(
        lambda *leaf: find_mask(*leaf, state.calls),
        part(latent, 'scores'),
        state.mask,
        state.live,
      ),
      lambda: state.mask,
    )
    return latent, MovementState(state.calls + 1, mask, state.live)

  def encode(latent, state):
    is_new = not isinstance(state.calls, jax.core.Tracer) and state.calls == 0
    if is_new and sparsity is not None and _at(sparsity, state.calls) > 0:
      raise ValueError(
        f'movement_prune of sparsity {float(_at(sparsity, state.calls)):g} '
        'cannot ship before it has trained: what it prunes is up to scores '
        'that gradients move. Take a step first, or prune by magnitude.'
      )
    return encode_sparse(part(latent, 'weights'), state.mask)

  return checked(Compressor(init, view, encode, penalty, update))


def movement_labels(latent: Any) -> Any:
  """Names what each part of a latent is, for `optax.partition`.

  Args:
    latent: of `movement_prune`, or one that holds it, as behind `select`.

  Returns:
    A tree of the same form, 'scores' where it holds scores, else 'weights'.
  """
  label = lambda x: x._replace(weights='weights', scores='scores')
  return tree.label_parts(latent, ScoredWeights, label)


def _highest(
  scores: Float[Array, '*shape'],
  keep: Int[Array, ''] | int,
  last: Bool[Array, '*shape'],
) -> Bool[Array, '*shape']:
  """Mask of the `keep` highest scores of either sign, exactly that many.

  Ranks the positive ones if they suffice, else finds what to leave out among
  the others. `last` is the mask before: it tells about where to look.
  """
  few = keep <= count_true(scores > 0)
  size = jnp.maximum(jnp.where(few, scores, -scores), 0)
  above = jnp.max(size, where=~last, initial=0)
  below = jnp.min(size, where=~last, initial=jnp.finfo(jnp.float32).max)
  count = jnp.where(few, keep, scores.size - keep)
  return largest_mask(size, count, jnp.where(few, above, below)) ^ ~few


def _logit(p):
  """The score whose sigmoid is `p`; it spares a sigmoid of all scores."""
  return jnp.log(p) - jnp.log1p(-p)


def _at(value, calls):
  return value(calls) if callable(value) else value


def _require_arguments(sparsity, threshold, strength, min_density):
  if (sparsity is None) == (threshold is None):
    raise ValueError(
      f'Give exactly one of sparsity and threshold, got {sparsity=}, '
      f'{threshold=}.'
    )
  if threshold is None:
    require_one_criterion(sparsity, None)
    if callable(strength) or strength:
      raise ValueError(
        f'strength is {strength}; it acts only on soft pruning: give a '
        'threshold instead of a sparsity.'
      )
  elif not callable(threshold) and not 0 <= threshold < 0.5:
    raise ValueError(
      f'threshold is {threshold}; it must be at least 0 and below 0.5, the '
      'sigmoid of the scores at the start.'
    )
  if not callable(strength) and not 0 <= strength < math.inf:
    raise ValueError(f'strength is {strength}; it must be finite and >= 0.')
  if not 0 <= min_density <= 1:
    raise ValueError(f'min_density is {min_density}; it must lie in 0 .. 1.')

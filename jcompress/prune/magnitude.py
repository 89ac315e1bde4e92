"""Magnitude pruning: by quality and by a sparsity that grows."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress.base import Compressor
from jcompress.mask import apply_mask, encode_sparse, live_weights
from jcompress.numerics.counts import counting, nearest_share
from jcompress.numerics.whole import require_whole
from jcompress.numerics.wide import tree_to_unit
from jcompress.one_by_one import one_by_one
from jcompress.passing import checked
from jcompress.prune.threshold import largest_mask


class PruneState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  mask: Any  # of the params, bool: true where the weight is kept
  live: Any  # of the params, bool: true where it may be
  fresh: Any  # of each param, bool: it was all zeros at init; () in a layer
  initial: Any  # of the params where the weights are rewound, else ()


def magnitude_prune(
  sparsity: float | optax.Schedule | None = None,
  *,
  quality: float | None = None,
  every: int = 1,
  scope: str = 'layer',
  rewind: bool = False,
  keep_zeros: bool = False,
) -> Compressor:
  """Prunes the weights of smallest magnitude, and trains what is left.

  `view = w * mask`, so that pruned weights get no gradient. The mask is found
  at `init`, as the sparsity of call 0 wants it, so that
  `encode(*init(params))` prunes a trained network. It is ranked on the dense
  weights behind it: a weight that was pruned keeps its value and may come back
  at a refresh if it outranks the others again, never in between. Weights that
  are zero at `init` stay zero; they count as pruned.

  Args:
    sparsity: fraction of the weights to prune, `0 .. 1`, or a schedule of it
      over the calls of `update`, as in `schedules.cubic_sparsity`. Exactly
      `round(sparsity * size)` weights are pruned, also among equal ones.
    quality: instead of `sparsity`: prunes where `|w| <= quality * std(w)`, the
      standard deviation over all weights, zeros included (Han et al.).
    every: refreshes the mask in each `every`-th call of `update`, from the
      first call on.
    scope: `'layer'` ranks each array by itself, `'global'` all together. An
      array that was all zeros at `init` takes part in that with magnitudes over
      its own root mean square, times that of the others: it is small because it
      is young.
    rewind: sets the weights back to their values at `init` whenever the mask
      is refreshed (lottery tickets). Start the optimizer afresh with it.
    keep_zeros: whether an array that is all zeros at `init` stays so. Otherwise
      it trains, and is ranked as soon as it has something to rank.

  Raises:
    ValueError: not exactly one of `sparsity` and `quality`; one out of range.

  References:
    Han et al., Learning both Weights and Connections for Efficient Neural
    Networks, 2015, arXiv 1506.02626, section 3.
    Zhu & Gupta, To prune, or not to prune, 2017, arXiv 1710.01878.
    Frankle & Carbin, The Lottery Ticket Hypothesis, 2019, arXiv 1803.03635.
  """
  require_one_criterion(sparsity, quality)
  require_whole('every', every, 1)
  if scope not in ('layer', 'global'):
    raise ValueError(f"scope is {scope!r}; it must be 'layer' or 'global'.")

  def rank(w, old, calls):
    if quality is not None:
      return _above(w, quality)
    size = jax.tree.map(jnp.abs, w)
    keep = kept_count(sparsity, size, calls)
    return largest_mask(size, keep, largest_pruned(size, old))

  def rank_all(w, old, fresh, calls):
    """Keeps nothing of the size of the tree on the way."""
    if quality is not None:
      return _above(comparable(w, fresh), quality)
    factors = growth(w, fresh)
    size = jax.tree.map(lambda x, f: jnp.abs(_float32(x)) * f, w, factors)
    guess = largest_pruned(size, old)
    return largest_mask(w, kept_count(sparsity, w, calls), guess, factors)

  def find_mask(w, mask, live, fresh, calls):
    if scope == 'global':
      found = rank_all(w, mask, fresh, calls)
    else:
      found = one_by_one(lambda x, old: rank(x, old, calls), w, mask)
    return jax.tree.map(
      lambda m, l, x: jnp.where(jnp.any(x != 0), m, True) & l, found, live, w
    )

  def init(params):
    live = jax.tree.map(lambda x: live_weights(x, keep_zeros), params)
    fresh = ()
    if scope == 'global':
      fresh = jax.tree.map(lambda x: ~jnp.any(x != 0), params)
    calls = jnp.zeros([], jnp.int32)
    mask = find_mask(params, live, live, fresh, calls)
    initial = params if rewind else ()
    return params, PruneState(calls, mask, live, fresh, initial)

  def update(w, state, grads):
    del grads
    now = state.calls % every == 0
    mask = jax.lax.cond(
      now,
      lambda: find_mask(w, state.mask, state.live, state.fresh, state.calls),
      lambda: state.mask,
    )
    if rewind:
      w = jax.tree.map(lambda i, x: jnp.where(now, i, x), state.initial, w)
    return w, state._replace(calls=state.calls + 1, mask=mask)

  return checked(
    Compressor(
      init,
      view=lambda w, state: apply_mask(w, state.mask),
      encode=lambda w, state: encode_sparse(w, state.mask),
      update=update,
    )
  )


def comparable(weights: Any, fresh: Any) -> Any:
  """Weights that can be ranked together: new arrays grown to the others.

  Args:
    weights: tree of arrays.
    fresh: of each a boolean: its weights are over the root mean square of that
      array, and times that of the arrays that are not fresh.

  Returns:
    A tree of float32 arrays.
  """
  factors = growth(weights, fresh)
  return jax.tree.map(lambda x, f: _float32(x) * f, weights, factors)


def growth(weights: Any, fresh: Any) -> Any:
  """The factor of each array of `comparable`, in float32."""
  (leaves, treedef), new = jax.tree.flatten(weights), jax.tree.leaves(fresh)
  square = lambda x: jnp.sum(jnp.square(_float32(x)))
  energy = jnp.stack(one_by_one(square, leaves))
  size = jnp.array([max(1, x.size) for x in leaves], jnp.float32)
  is_new = jnp.stack(new)
  count = jnp.maximum(jnp.sum(size, where=~is_new), 1)
  old = jnp.sum(energy, where=~is_new) / count
  grows = is_new & (energy > 0) & (old > 0)
  ratio = jnp.where(grows, old, 1) / jnp.where(grows, energy / size, 1)
  factor = jax.lax.stop_gradient(jnp.sqrt(ratio))
  return jax.tree.unflatten(treedef, list(factor))


def kept_count(
  sparsity: float | optax.Schedule, weights: Any, count: jax.Array
) -> jax.Array | int:
  """How many of the weights of a tree a sparsity leaves, to the nearest."""
  size = sum(x.size for x in jax.tree.leaves(weights))
  if not callable(sparsity):
    return size - round(sparsity * size)
  value = jnp.clip(jnp.asarray(sparsity(count)), 0.0, 1.0)
  with counting(size):
    return size - nearest_share(value, size)


def require_one_criterion(sparsity: Any, quality: float | None) -> None:
  """Raises a `ValueError` unless exactly one of the two is given, in range."""
  if (sparsity is None) == (quality is None):
    raise ValueError(
      f'Give exactly one of sparsity and quality, got sparsity={sparsity}, '
      f'quality={quality}.'
    )
  if sparsity is not None and not callable(sparsity) and not 0 <= sparsity <= 1:
    raise ValueError(
      f'sparsity is {sparsity}; it must be a fraction in 0 .. 1 (0.9 prunes '
      'nine weights of ten), or a schedule of such.'
    )


def largest_pruned(size, mask):
  """The largest pruned size: about the threshold of the last refresh."""
  pruned = one_by_one(
    lambda x, m: jnp.max(x, where=~m, initial=0).astype(jnp.float32),
    size,
    mask,
  )
  return functools.reduce(jnp.maximum, jax.tree.leaves(pruned), jnp.float32(0))


def _float32(x):
  return x.astype(jnp.float32)


def _above(weights, quality):
  """Masks of `|w| > quality * std(w)` over one population of weights."""
  weights = tree_to_unit(weights)  # so that no square overflows
  leaves = jax.tree.leaves(weights)
  size = max(1, sum(x.size for x in leaves))
  mean = sum(jnp.sum(x) for x in leaves) / size
  std = jnp.sqrt(sum(jnp.sum((x - mean) ** 2) for x in leaves) / size)
  return jax.tree.map(lambda x: jnp.abs(x) > quality * std, weights)

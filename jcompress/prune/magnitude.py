"""Magnitude pruning: by quality and by a sparsity that grows."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress.base import Compressor, checked
from jcompress.mask import apply_mask, encode_sparse
from jcompress.prune.threshold import largest_mask


class PruneState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  mask: Any  # of the params, bool: true where the weight is kept
  initial: Any  # of the params where the weights are rewound, else ()


def magnitude_prune(
  sparsity: float | optax.Schedule | None = None,
  *,
  quality: float | None = None,
  every: int = 1,
  scope: str = 'layer',
  rewind: bool = False,
) -> Compressor:
  """Prunes the weights of smallest magnitude, and trains what is left.

  `view = w * mask`, so that pruned weights get no gradient. The mask is ranked
  on the dense weights behind it: a weight that was pruned keeps its value and
  may come back at a refresh if it outranks the others again, never in between.
  Weights that are zero at `init` stay zero; they count as pruned.

  Args:
    sparsity: fraction of the weights to prune, `0 .. 1`, or a schedule of it
      over the calls of `update`, as in `schedules.cubic_sparsity`. Exactly
      `round(sparsity * size)` weights are pruned, also among equal ones.
    quality: instead of `sparsity`: prunes where `|w| <= quality * std(w)`, the
      standard deviation over all weights, zeros included (Han et al.).
    every: refreshes the mask in each `every`-th call of `update`, from the
      first call on.
    scope: `'layer'` ranks each array by itself, `'global'` all together.
    rewind: sets the weights back to their values at `init` whenever the mask
      is refreshed (lottery tickets). Start the optimizer afresh with it.

  Raises:
    ValueError: not exactly one of `sparsity` and `quality`; one out of range.

  References:
    Han et al., Learning both Weights and Connections for Efficient Neural
    Networks, 2015, arXiv 1506.02626, section 3.
    Zhu & Gupta, To prune, or not to prune, 2017, arXiv 1710.01878.
    Frankle & Carbin, The Lottery Ticket Hypothesis, 2019, arXiv 1803.03635.
  """
  require_one_criterion(sparsity, quality)
  require_every(every)
  if scope not in ('layer', 'global'):
    raise ValueError(f"scope is {scope!r}; it must be 'layer' or 'global'.")

  def find_mask(w, state):
    def rank(x, old):
      if quality is not None:
        return _above(x, quality)
      size = jax.tree.map(jnp.abs, x)
      return largest_mask(
        size, kept_count(sparsity, x, state.calls), largest_pruned(size, old)
      )

    if scope == 'global':
      mask = rank(w, state.mask)
    else:
      mask = jax.tree.map(rank, w, state.mask)
    return jax.tree.map(lambda m, x: m & (x != 0), mask, w)

  def init(params):
    mask = jax.tree.map(lambda x: x != 0, params)
    initial = params if rewind else ()
    return params, PruneState(jnp.zeros([], jnp.int32), mask, initial)

  def update(w, state, grads):
    del grads
    now = state.calls % every == 0
    mask = jax.lax.cond(now, lambda: find_mask(w, state), lambda: state.mask)
    if rewind:
      w = jax.tree.map(lambda i, x: jnp.where(now, i, x), state.initial, w)
    return w, PruneState(state.calls + 1, mask, state.initial)

  return checked(
    Compressor(
      init,
      view=lambda w, state: apply_mask(w, state.mask),
      encode=lambda w, state: encode_sparse(w, state.mask),
      update=update,
    )
  )


def kept_count(
  sparsity: float | optax.Schedule, weights: Any, count: jax.Array
) -> jax.Array | int:
  """How many of the weights of a tree a sparsity leaves, to the nearest."""
  size = sum(x.size for x in jax.tree.leaves(weights))
  if callable(sparsity):
    value = jnp.clip(sparsity(count), 0.0, 1.0)
    return size - jnp.round(value * size).astype(jnp.int32)
  return size - round(sparsity * size)


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


def require_every(every: int) -> None:
  if every < 1 or every != int(every):
    raise ValueError(f'every is {every}; it must be a whole number >= 1.')


def largest_pruned(size, mask):
  """The largest pruned size: about the threshold of the last refresh."""
  pruned = jax.tree.map(
    lambda x, m: jnp.max(x, where=~m, initial=0).astype(jnp.float32),
    size,
    mask,
  )
  return functools.reduce(jnp.maximum, jax.tree.leaves(pruned), jnp.float32(0))


def _above(weights, quality):
  """Masks of `|w| > quality * std(w)` over one population of weights."""
  leaves = [x.astype(jnp.float32) for x in jax.tree.leaves(weights)]
  size = max(1, sum(x.size for x in leaves))
  mean = sum(jnp.sum(x) for x in leaves) / size
  std = jnp.sqrt(sum(jnp.sum((x - mean) ** 2) for x in leaves) / size)
  return jax.tree.map(
    lambda x: jnp.abs(x.astype(jnp.float32)) > quality * std, weights
  )

"""Sparse evolutionary training: weak weights give way to random new ones."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress.base import Compressor
from jcompress.mask import apply_mask, encode_sparse
from jcompress.numerics.counts import count_true, nearest_share
from jcompress.numerics.whole import require_whole
from jcompress.passing import checked
from jcompress.prune.densities import Densities, resolve_densities
from jcompress.prune.magnitude import require_one_criterion
from jcompress.prune.regrowth import largest_among, leaf_keys, random_masks


class EvolutionState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  key: jax.Array  # of the draws of new weights
  mask: Any  # of the params, bool: true where the weight is active
  live: Any  # of the params, bool: true where it may be


def sparse_evolution(
  sparsity: float,
  *,
  every: int,
  fraction: float = 0.3,
  end: int | None = None,
  densities: str | Densities = 'erdos_renyi_kernel',
  zeros_grow: bool = False,
  keep_zeros: bool = False,
  seed: int = 0,
) -> Compressor:
  """Trains a network that is sparse from the start and rewires it (SET).

  A random part of the weights is active, `view = w * mask`. After each `every`
  steps, in the paper an epoch, each array gives up the fraction `zeta` of its
  smallest positive active weights and the same fraction of its largest negative
  ones, and those that are exactly zero, and as many are drawn at random among
  all that are not active then. The new ones start at zero, as in the authors'
  code. So each array always has exactly the same number of active weights.

  Weights that are not active get no gradient and stay zero in `update`. The
  optimizer's moments of a weight that is given up fade; they are not reset, and
  one that is drawn soon after starts with what is left of them.

  Args:
    sparsity: fraction of all weights that are not active, `0 .. 1`.
    every: rewires in each `every`-th call of `update`, at the end of the first
      `every`.
    fraction: zeta, `0 .. 1`, to the nearest whole number of weights.
    end: calls of `update` after which nothing is rewired any more, such as the
      start of the last epoch. Without it, what is drawn in the last step ships
      as zeros.
    densities: see `rigl`. The default is that of the paper for dense layers.
    zeros_grow: see `rigl`.
    keep_zeros: see `rigl`.
    seed: of all draws.

  Raises:
    ValueError: a number out of range; unknown densities.

  References:
    Mocanu et al., Scalable training of artificial neural networks with adaptive
    sparse connectivity inspired by network science, 2018, arXiv 1707.04780,
    algorithm 1.
  """
  require_one_criterion(sparsity, None)
  require_whole('every', every, 1)
  if end is not None and end < 1:
    raise ValueError(f'end is {end}; it must be at least 1, or None.')
  if not 0 <= fraction <= 1:
    raise ValueError(f'fraction is {fraction}; it must lie in 0 .. 1.')
  densities = resolve_densities(densities)

  def stronger(w, side):
    here = count_true(side)
    gone = nearest_share(fraction, here)
    return largest_among(jnp.abs(w), side, here - gone)

  def rewire(w, key, mask, live):
    kept = stronger(w, mask & (w > 0)) | stronger(w, mask & (w < 0))
    drawn = largest_among(
      jax.random.uniform(key, w.shape, jnp.float32),
      live & ~kept,
      count_true(mask) - count_true(kept),
    )
    return apply_mask(w, kept), kept | drawn

  def init(params):
    mask, live = random_masks(
      params,
      sparsity,
      densities,
      zeros_grow=zeros_grow,
      keep_zeros=keep_zeros,
      seed=seed,
    )
    key = jax.random.key(seed + 1)
    start = EvolutionState(jnp.zeros([], jnp.int32), key, mask, live)
    return apply_mask(params, mask), start

  def update(w, state, grads):
    del grads
    calls = state.calls + 1
    key, draws = jax.random.split(state.key)
    w = apply_mask(w, state.mask)

    def rewire_all():
      pairs = jax.tree.map(
        rewire, w, leaf_keys(draws, w), state.mask, state.live
      )
      return jax.tree.transpose(
        jax.tree.structure(w), jax.tree.structure((0, 0)), pairs
      )

    now = calls % every == 0
    if end is not None:
      now &= calls <= end
    w, mask = jax.lax.cond(now, rewire_all, lambda: (w, state.mask))
    return w, EvolutionState(calls, key, mask, state.live)

  return checked(
    Compressor(
      init,
      view=lambda w, state: apply_mask(w, state.mask),
      encode=lambda w, state: encode_sparse(w, state.mask),
      update=update,
    )
  )

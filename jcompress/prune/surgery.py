"""Dynamic network surgery: pruned weights keep learning and may come back."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress.base import Compressor
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, encode_sparse, live_weights
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.numerics.wide import to_unit
from jcompress.prune.magnitude import (
  kept_count,
  largest_pruned,
  require_one_criterion,
)
from jcompress.prune.threshold import kth_largest


class SurgeryState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  key: jax.Array  # of the coin that decides on surgery
  live: jax.Array  # of the weight, bool: false where it was zero at init
  mask: jax.Array  # of the weight, bool: true where it is kept


def dynamic_surgery(
  sparsity: float | optax.Schedule | None = None,
  *,
  quality: float | None = None,
  margin: float = 0.1,
  every: int = 1,
  probability: float | optax.Schedule = 1.0,
  keep_zeros: bool = False,
  seed: int = 0,
) -> Compressor:
  """Prunes and splices: the gradient of a pruned weight still moves it.

  With a threshold `t` for each array, a weight is pruned below
  `(1 - margin) t`, spliced back above `(1 + margin) t`, and left as it is
  between the two (eq. 3). `init` prunes below `t`, so that
  `encode(*init(params))` prunes a trained network. Weights that are zero at
  `init` stay zero.

  Args:
    sparsity: puts `t` at the magnitude that this fraction of the weights does
      not reach, `0 .. 1`, or a schedule of it over the calls of `update`. What
      lies within the margin makes the sparsity reached a little different.
    quality: instead of `sparsity`: `t = mean(|w|) + quality * std(|w|)`.
    margin: half width of the band in which nothing changes, `0 .. 1`.
    every: performs surgery in each `every`-th call of `update`, from the first
      call on.
    probability: of surgery in those calls, `0 .. 1`, or a schedule that falls.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.
    seed: of the coin behind `probability`.

  Raises:
    ValueError: not exactly one of `sparsity` and `quality`; one out of range.

  References:
    Guo et al., Dynamic Network Surgery for Efficient DNNs, 2016,
    arXiv 1608.04493.
  """
  require_one_criterion(sparsity, quality)
  require_whole('every', every, 1)
  if not 0 <= margin < 1:
    raise ValueError(f'margin is {margin}; it must lie in 0 .. 1.')
  if not callable(probability) and not 0 <= probability <= 1:
    raise ValueError(f'probability is {probability}; it must lie in 0 .. 1.')

  def threshold(size, mask, calls):
    if quality is None:
      keep = kept_count(sparsity, size, calls)
      return kth_largest(size, keep, largest_pruned(size, mask))
    size, exponent = to_unit(size)  # so that no square overflows
    return jnp.ldexp(jnp.mean(size) + quality * jnp.std(size), exponent)

  def init(w):
    live, calls = live_weights(w, keep_zeros), jnp.zeros([], jnp.int32)
    size = jnp.abs(w.astype(jnp.float32))
    mask = live & (size >= threshold(size, live, calls))
    return w, SurgeryState(calls, jax.random.key(seed), live, mask)

  def view(w, state):
    return straight_through(
      apply_mask(w, state.mask), apply_mask(w, state.live)
    )

  def update(w, state, grad):
    del grad
    key, coin = jax.random.split(state.key)

    def operate():
      size = jnp.abs(w.astype(jnp.float32))
      t = threshold(size, state.mask, state.calls)
      kept = jnp.where(
        state.mask, size >= (1 - margin) * t, size > (1 + margin) * t
      )
      return kept & state.live  # eq. 3

    p = probability(state.calls) if callable(probability) else probability
    now = (state.calls % every == 0) & (
      jax.random.uniform(coin, dtype=jnp.float32) < p
    )
    mask = jax.lax.cond(now, operate, lambda: state.mask)
    return w, SurgeryState(state.calls + 1, key, state.live, mask)

  def encode(w, state):
    return encode_sparse(w, state.mask)

  return leafwise(init, view, encode, update=update)

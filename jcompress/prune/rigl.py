"""RigL: sparse from the start; weights grow where the gradient is largest."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress.base import Compressor
from jcompress.mask import apply_mask, encode_sparse
from jcompress.numerics.counts import count_true, nearest_share
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.passing import checked
from jcompress.prune.densities import Densities, resolve_densities
from jcompress.prune.fan_in import scale_to_fan_in
from jcompress.prune.magnitude import require_one_criterion
from jcompress.prune.regrowth import largest_among, random_masks


class RigLState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  mask: Any  # of the params, bool: true where the weight is active
  live: Any  # of the params, bool: true where it may be


def rigl(
  sparsity: float,
  *,
  end: int,
  every: int = 100,
  fraction: float = 0.3,
  densities: str | Densities = 'erdos_renyi_kernel',
  zeros_grow: bool = False,
  keep_zeros: bool = False,
  scale_start: bool = False,
  seed: int = 0,
) -> Compressor:
  """Trains a network that is sparse from the start (the rigged lottery).

  A random part of the weights is active, `view = w * mask`. In every `every`-th
  step each array gives up the fraction

      f(t) = fraction / 2 * (1 + cos(pi t / end))

  of its active weights, those of smallest magnitude, and grows as many where
  the magnitude of the gradient is largest. What grows starts at zero; a weight
  that is given up and grows back at once keeps its value. So each array always
  has exactly the same number of active weights.

  In the steps in between, weights that are not active get no gradient. In a
  step that exchanges weights the gradient reaches all of them, and so the
  optimizer. Its moments then hold this one gradient, and a weight that grows
  starts with it, where the paper starts with none and skips that step of the
  optimizer; the others forget it at the rate of the moments. (With Adam, whose
  bias correction has ended by then, the first steps of what grows are a few
  times as long as usual, with or without that gradient.) Whatever the optimizer
  does to a weight that is not active is undone in `update`: it stays zero. A
  clip of the global norm sees the longer gradient of those steps.

  Args:
    sparsity: fraction of all weights that are not active, `0 .. 1`.
    end: calls of `update` after which nothing is exchanged any more; three
      quarters of the training in the paper.
    every: exchanges in each `every`-th call of `update`, from the first on.
    fraction: of the active weights to exchange at first, `0 .. 1`.
    densities: of the arrays: `'erdos_renyi_kernel'`, `'uniform'`, or a function
      `(params, sparsity) -> tree of numbers`, see `densities`. An array of `n`
      weights has `round(density * n)` active ones, or as many as may be active.
    zeros_grow: whether weights that are zero at `init` may become active. By
      default they stay zero, as with all methods here, and a pruned network
      stays as it is. With `True` one may start from a pruned network or from
      zero; what is not zero is active first.
    keep_zeros: whether an array that is all zeros at `init` stays so, without
      `zeros_grow`. Otherwise a random part of it is active, as of all others.
    scale_start: whether the active weights are scaled to the inputs that their
      units have left, see `scale_to_fan_in`: for a new network.
    seed: of the first choice of active weights.

  Raises:
    ValueError: a number out of range; unknown densities.

  References:
    Evci et al., Rigging the Lottery: Making All Tickets Winners, 2020,
    arXiv 1911.11134, section 3.
  """
  require_one_criterion(sparsity, None)
  require_whole('every', every, 1)
  if end < 1:
    raise ValueError(f'end is {end}; it must be at least 1.')
  if not 0 <= fraction <= 1:
    raise ValueError(f'fraction is {fraction}; it must lie in 0 .. 1.')
  densities = resolve_densities(densities)
  share = optax.cosine_decay_schedule(fraction, end)  # f_decay, section 3

  def exchanges(state):
    return (state.calls % every == 0) & (state.calls < end)

  def exchange(w, grad, mask, live, share):
    active = count_true(mask)
    moved = nearest_share(share, active)
    kept = largest_among(jnp.abs(w), mask, active - moved)
    return kept | largest_among(jnp.abs(grad), live & ~kept, moved)

  def init(params):
    mask, live = random_masks(
      params,
      sparsity,
      densities,
      zeros_grow=zeros_grow,
      keep_zeros=keep_zeros,
      seed=seed,
    )
    if scale_start:
      params = scale_to_fan_in(params, mask)
    start = RigLState(jnp.zeros([], jnp.int32), mask, live)
    return apply_mask(params, mask), start

  def view(w, state):
    now = exchanges(state)
    reached = jax.tree.map(lambda m, l: m | (l & now), state.mask, state.live)
    return jax.tree.map(
      straight_through, apply_mask(w, state.mask), apply_mask(w, reached)
    )

  def update(w, state, grads):
    w = apply_mask(w, state.mask)
    part = share(state.calls.astype(jnp.float32))
    mask = jax.lax.cond(
      exchanges(state),
      lambda: jax.tree.map(
        lambda *leaf: exchange(*leaf, part), w, grads, state.mask, state.live
      ),
      lambda: state.mask,
    )
    return apply_mask(w, mask), RigLState(state.calls + 1, mask, state.live)

  def encode(w, state):
    return encode_sparse(w, state.mask)

  return checked(Compressor(init, view, encode, update=update))

"""Group-wise brain damage: groups are pressed down, then removed, in turns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jcompress.base import Compressor
from jcompress.mask import apply_mask, encode_sparse
from jcompress.numerics.whole import require_whole
from jcompress.passing import checked
from jcompress.prune.magnitude import (
  comparable,
  kept_count,
  require_one_criterion,
)
from jcompress.prune.threshold import kth_largest, largest_mask
from jcompress.structure.group_lasso import (
  bind,
  group_norms,
  require_not_negative,
  wide_leaves,
)
from jcompress.structure.weight_groups import Grouping, grouping, live_entries


class GroupState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  kept: list[jax.Array]  # bool, one a group: false once it is removed
  limits: list[jax.Array]  # float32: groups with smaller norms are pressed
  live: Any  # of the params, bool: false where a weight stays zero
  fresh: Any  # a bool an array of groups: all zeros at init; () in a layer


def gradual_groups(
  sparsity: float | optax.Schedule,
  *,
  strength: float = 0.0,
  groups: str | Grouping = 'positions',
  lead: int = 0,
  every: int = 1,
  scope: str = 'layer',
  keep_zeros: bool = False,
) -> Compressor:
  """Removes whole groups of weights, the smallest first, more and more.

  Two things happen to the groups, by their Euclidean norms. The smallest
  `sparsity(t)` of them are removed for good. Those that are next in line, up to
  `sparsity(t + lead)`, are pressed down by a penalty on the truncated norm; the
  limit is the norm of the first group behind them:

      penalty = strength sum_g min(|w_g|, limit)

  so that they are small before they go, and larger groups are left alone. At
  the end of the schedule exactly `round(sparsity n)` of `n` groups are zero,
  and the rest is fine-tuned without a pull. `init` removes what the sparsity of
  call 0 wants. To stay within a budget of
  accuracy, watch it while the sparsity grows, and take the last params that
  were within.

  Weights that are zero at `init` stay zero; a group without others counts as
  removed.

  Args:
    sparsity: fraction of the groups to remove, `0 .. 1`, or a schedule of it
      over the calls of `update`, such as `schedules.cubic_sparsity`.
    strength: of the penalty, `>= 0`; without one groups are removed as they
      are.
    groups: a name that `grouping` explains, or from `axis_groups` or
      `unit_groups`.
    lead: how many calls the penalty is ahead of the removal, `>= 0`.
    every: removes in each `every`-th call of `update`, from the first call on.
    scope: `'layer'` ranks the groups of each array by themselves, `'global'`
      all together, by their root mean squares. Arrays that were all zeros at
      `init` take part with those over their own mean, times that of the others.
    keep_zeros: whether an array that is all zeros at `init` stays so. Otherwise
      it trains, and loses groups as soon as they differ.

  Raises:
    ValueError: an option out of range; a strength without a lead on a schedule,
      or the reverse, which would press nothing; in `init`, what the grouping
      refuses.

  References:
    Lebedev & Lempitsky, Fast ConvNets Using Group-wise Brain Damage, 2016,
    arXiv 1506.02515.
  """
  require_one_criterion(sparsity, None)
  require_not_negative('strength', strength)
  require_whole('every', every, 1)
  if lead < 0 or lead != int(lead):
    raise ValueError(f'lead is {lead}; it must be a whole number >= 0.')
  if (strength > 0) != (lead > 0) or (lead > 0 and not callable(sparsity)):
    raise ValueError(
      f'strength is {strength}, lead is {lead}; the penalty presses what the '
      'schedule of the sparsity removes within lead calls: give all of them, '
      'or neither a strength nor a lead.'
    )
  if scope not in ('layer', 'global'):
    raise ValueError(f"scope is {scope!r}; it must be 'layer' or 'global'.")
  kind = grouping(groups)

  def rank(w, state):
    """The norms of the groups, those of removed ones zero."""
    found, leaves = bind(kind, w), wide_leaves(apply_mask(w, state.live))
    norms = [group_norms(g, leaves) for g in found]
    if scope == 'global':
      roots = [np.sqrt(np.maximum(g.sizes, 1)) for g in found]
      norms = [n / r for n, r in zip(norms, roots, strict=True)]
      norms = comparable(norms, state.fresh)
    return [jnp.where(k, n, 0) for k, n in zip(state.kept, norms, strict=True)]

  def each(choose, norms):
    """Applies a choice to all groups, or to those of each array."""
    return choose(norms) if scope == 'global' else [choose(n) for n in norms]

  def find(w, state):
    norms = rank(w, state)
    keep = lambda n: largest_mask(n, kept_count(sparsity, n, state.calls))
    last = lambda n: kth_largest(n, kept_count(sparsity, n, state.calls + lead))
    kept = each(keep, norms)
    # Of an array that is all zeros still, none is smaller than another.
    kept = [
      jnp.where(jnp.any(n > 0), k & (n > 0), old)
      for k, n, old in zip(kept, norms, state.kept, strict=True)
    ]
    limit = each(last, norms)
    limits = [limit] * len(norms) if scope == 'global' else limit
    # Without a group to be kept there is none that a limit could spare.
    return kept, [jnp.where(jnp.isinf(x), 1.0e30, x) for x in limits]

  def init(params):
    leaves, treedef = jax.tree.flatten(params)
    found = bind(kind, params)
    live = live_entries(found, leaves, keep_zeros)
    used = [g.sums([m.astype(jnp.float32) for m in live]) > 0 for g in found]
    fresh = ()
    if scope == 'global':
      sums = [g.sums([x != 0 for x in leaves]) for g in found]
      fresh = [~jnp.any(x > 0) for x in sums]
    start = GroupState(
      calls=jnp.zeros([], jnp.int32),
      kept=used,
      limits=[jnp.zeros([], jnp.float32) for _ in found],
      live=treedef.unflatten(live),
      fresh=fresh,
    )
    return params, start._replace(kept=find(params, start)[0])

  def entries(w, state):
    """The mask of the entries that are left."""
    leaves, treedef = jax.tree.flatten(w)
    mask = jax.tree.leaves(state.live)
    for group, kept in zip(bind(kind, w), state.kept, strict=True):
      for i, stays in group.spread(kept, leaves).items():
        mask[i] = mask[i] & stays
    return treedef.unflatten(mask)

  def view(w, state):
    return apply_mask(w, entries(w, state))

  def penalty(w, state):
    total = jnp.zeros([], jnp.float32)
    for norms, limit in zip(rank(w, state), state.limits, strict=True):
      total += jnp.sum(jnp.where(norms < limit, norms, limit))
    return strength * total

  def update(w, state, grads):
    del grads
    kept, limits = jax.lax.cond(
      state.calls % every == 0,
      lambda: find(w, state),
      lambda: (state.kept, state.limits),
    )
    return w, state._replace(calls=state.calls + 1, kept=kept, limits=limits)

  def encode(w, state):
    return encode_sparse(w, entries(w, state))

  return checked(Compressor(init, view, encode, penalty, update))

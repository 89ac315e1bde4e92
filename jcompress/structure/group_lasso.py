"""Group lasso: whole filters, channels or positions become zero in training."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jcompress import tree
from jcompress.base import Compressor, no_penalty, no_update
from jcompress.mask import apply_mask, encode_sparse
from jcompress.numerics.group_prox import safe_sqrt, shrinkage, soft_threshold
from jcompress.passing import checked
from jcompress.structure.weight_groups import (
  Grouping,
  Groups,
  grouping,
  live_entries,
)


class LassoState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  live: Any  # of the params, bool: false where a weight was zero at init


def group_lasso(
  strength: float | Sequence[float],
  *,
  groups: str | Grouping | Sequence[str | Grouping] = 'filters',
  size_weighted: bool = True,
  l1: float = 0.0,
  proximal: bool = False,
  learning_rate: float | optax.Schedule | None = None,
  zero_weights_below: float = 0.0,
  zero_groups_below: float = 0.0,
  keep_zeros: bool = False,
) -> Compressor:
  """Pulls groups of weights to zero as wholes.

  `penalty = strength sum_g sqrt(size_g) |w_g| + l1 sum_i |w_i|`, with Euclidean
  norms of the groups. As a penalty in the loss it makes groups small, not zero:
  let tiny ones be zeroed, or take the proximal step instead, after that of the
  optimizer. Each weight goes `learning_rate l1` towards zero, then each group:

      w_g <- max(0, 1 - learning_rate strength sqrt(size_g) / |w_g|) w_g

  Groups that are zero may come back while training goes on; freeze them with a
  second stage, `with_mask` of what is not zero, or remove them with `shrink`.
  Weights that are zero at `init` stay zero. Turn weight decay off beside it,
  and select kernels only: `select(KERNELS, group_lasso(...))`. On the scales of
  batch normalization, `select('.*/scale', group_lasso(...))`, it is the penalty
  of network slimming.

  Several groupings together, as SSL has them, `group_lasso((1e-3, 2e-3),
  groups=('filters', 'channels'))`, add up in the penalty. The proximal step
  takes one after the other: that is exact where they are nested and go from the
  small groups to the large, such as positions, channels and the layer; an
  approximation where they overlap.

  Args:
    strength: `>= 0`; one number, or one for each grouping.
    groups: one grouping or several: a name that `grouping` explains, or from
      `axis_groups` or `unit_groups`.
    size_weighted: whether large groups are pulled harder, so that each of their
      weights is; Wen et al. do not.
    l1: strength of the lasso on each weight beside it: the sparse group lasso.
    proximal: takes the step above instead of adding a penalty to the loss.
    learning_rate: of the optimizer, a number or its schedule; needed by the
      proximal step alone. With momentum `m`, `optax.sgd` goes `1 / (1 - m)` as
      far along a steady gradient; give `learning_rate / (1 - m)`, or the pull
      is weaker than `strength` by that. For Adam, whose steps do not grow with
      the gradient, no rate is exact; it thresholds all the same.
    zero_weights_below: after each step, weights of smaller magnitude are set to
      zero (Wen et al.: 1e-4).
    zero_groups_below: after each step, groups whose root mean square is smaller
      are set to zero.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a number out of range; not one strength a grouping; a learning
      rate without `proximal`, or the reverse; an unknown name; in `init`, what
      the grouping refuses.

  References:
    Yuan & Lin, Model selection and estimation in regression with grouped
    variables, 2006.
    Simon et al., A Sparse-Group Lasso, 2013.
    Lebedev & Lempitsky, Fast ConvNets Using Group-wise Brain Damage, 2016,
    arXiv 1506.02515.
    Wen et al., Learning Structured Sparsity in Deep Neural Networks, 2016,
    arXiv 1608.03665.
    Zhou, Alvarez & Porikli, Less is more: towards compact CNNs, 2016.
    Liu et al., Learning Efficient Convolutional Networks through Network
    Slimming, 2017, arXiv 1708.06519.
  """
  if isinstance(groups, str) or callable(groups):
    groups = [groups]
  groupings = [grouping(g) for g in groups]
  strengths = _strengths(strength, len(groupings))
  for name, value in (
    ('l1', l1),
    ('zero_weights_below', zero_weights_below),
    ('zero_groups_below', zero_groups_below),
  ):
    require_not_negative(name, value)
  if proximal != (learning_rate is not None):
    raise ValueError(
      f'proximal is {proximal}, learning_rate is {learning_rate}; the proximal '
      'step, and it alone, needs the learning rate of the optimizer.'
    )
  if learning_rate is not None and not callable(learning_rate):
    require_not_negative('learning_rate', learning_rate)

  def bound(w):
    """Groups with the strength of their kind; the paths are those of `w`."""
    return [
      (s, found)
      for s, g in zip(strengths, groupings, strict=True)
      for found in bind(g, w)
    ]

  def init(params):
    leaves, treedef = jax.tree.flatten(params)
    found = [g for _, g in bound(params)]
    live = live_entries(found, leaves, keep_zeros)
    return params, LassoState(jnp.zeros([], jnp.int32), treedef.unflatten(live))

  def view(w, state):
    return apply_mask(w, state.live)

  def penalty(w, state):
    leaves = wide_leaves(view(w, state))
    total = jnp.zeros([], jnp.float32)
    for s, found in bound(w):
      norms = group_norms(found, leaves)
      total += s * jnp.sum(_weights(found, size_weighted) * norms)
    if l1:
      total += l1 * sum(jnp.sum(jnp.abs(x)) for x in leaves)
    return total

  def update(w, state, grads):
    del grads
    leaves, treedef = wide_leaves(view(w, state)), jax.tree.structure(w)
    if proximal:
      is_schedule = callable(learning_rate)
      rate = learning_rate(state.calls) if is_schedule else learning_rate
      leaves = [soft_threshold(x, rate * l1) for x in leaves] if l1 else leaves
      for s, found in bound(w):
        threshold = rate * s * _weights(found, size_weighted)
        factors = shrinkage(group_norms(found, leaves), threshold)
        leaves = multiply(found, factors, leaves)
    if zero_weights_below:
      leaves = [jnp.where(abs(x) < zero_weights_below, 0, x) for x in leaves]
    if zero_groups_below:
      for _, found in bound(w):
        rms = group_norms(found, leaves) / np.sqrt(np.maximum(found.sizes, 1))
        kept = (rms >= zero_groups_below).astype(jnp.float32)
        leaves = multiply(found, kept, leaves)
    new = zip(leaves, jax.tree.leaves(w), strict=True)
    w = treedef.unflatten(x.astype(old.dtype) for x, old in new)
    return w, LassoState(state.calls + 1, state.live)

  def encode(w, state):
    shown = view(w, state)
    return encode_sparse(shown, jax.tree.map(lambda x: x != 0, shown))

  acts = proximal or zero_weights_below or zero_groups_below
  return checked(
    Compressor(
      init,
      view,
      encode,
      no_penalty if proximal else penalty,
      update if acts else no_update,
    )
  )


def bind(groups: Grouping, w: Any) -> list[Groups]:
  """The groups of a tree of arrays."""
  return groups(tree.paths(w), [x.shape for x in jax.tree.leaves(w)])


def group_norms(groups: Groups, leaves: Sequence[jax.Array]) -> jax.Array:
  """The Euclidean norm of each group, with finite gradients at zero."""
  return safe_sqrt(groups.sums([jnp.square(x) for x in leaves]))


def multiply(
  groups: Groups, factors: jax.Array, leaves: Sequence[jax.Array]
) -> list[jax.Array]:
  """Multiplies each group by its factor."""
  new = list(leaves)
  for i, factor in groups.spread(factors, leaves).items():
    new[i] = new[i] * factor
  return new


def wide_leaves(w: Any) -> list[jax.Array]:
  return [x.astype(jnp.float32) for x in jax.tree.leaves(w)]


def require_not_negative(name: str, value: float) -> None:
  """Raises a `ValueError` for a number that is negative or not finite."""
  if not 0 <= value < np.inf:
    raise ValueError(f'{name} is {value}; it must be finite and >= 0.')


def _strengths(strength, count):
  is_one = np.ndim(strength) == 0
  strengths = [strength] * count if is_one else list(strength)
  if len(strengths) != count or not count:
    raise ValueError(
      f'There are {len(strengths)} strengths for {count} groupings; give one '
      'for all, or one for each.'
    )
  for value in strengths:
    require_not_negative('strength', value)
  return strengths


def _weights(groups, size_weighted):
  sizes = groups.sizes
  return jnp.asarray(np.sqrt(sizes) if size_weighted else np.ones_like(sizes))

"""From scores of filters to what is kept: by layer, globally, greedily."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from jcompress.channels.graph import ChannelGraph
from jcompress.patterns import matches
from jcompress.structure.filter_norms import filter_norms, matching
from jcompress.structure.selection import select_units
from jcompress.structure.unit_counts import kept_count, unit_counts

Kept = dict[str, Int[np.ndarray, ' kept']]
Sparsity = float | Mapping[str, float]


def keep_filters(
  graph: ChannelGraph,
  scores: Mapping[str, Any],
  sparsity: Sparsity,
  *,
  scope: str = 'layer',
  normalize: bool = False,
  least: int = 1,
) -> Kept:
  """Finds the units with the largest scores, for `ChannelGraph.plan`.

  Of `n` units `floor(n (1 - sparsity))` are kept, as Li et al. count, at least
  `least`. Groups that multiply to the channels of one layer, as the groups of a
  convolution and the positions in them or heads and their dims, keep together
  the counts whose product is nearest to `1 - sparsity` of the layer, if they
  have one sparsity: of 16 channels in 4 groups a quarter is one group, or one
  position of each, and nothing else.

  One-shot pruning is `shrink` with the result and training on; for iterative
  pruning do that in rounds, each with the scores of the network as it then is,
  and `1 - (1 - sparsity) ** (1 / rounds)` in each.

  Args:
    graph: from `channel_groups`.
    scores: of the units of some groups, from `filter_norms`; the others are
      kept as they are.
    sparsity: fraction of units to remove, `0 <= sparsity < 1`, or one for each
      pattern of names of groups, the first that matches; with patterns, groups
      that match none are kept whole.
    scope: `'layer'`: the fraction of each group; `'global'`: of all together,
      whose scores are ranked in one list; a fraction of the units, which of
      layers with groups that multiply takes more of the channels.
    normalize: for that, divides the scores of each group by their norm.
    least: how many units of each group to keep at least, `>= 1`, so that no
      layer is removed whole.

  Returns:
    The numbers of the kept units of each group that shrinks.

  Raises:
    ValueError: an option out of range, or without use; a pattern that matches
      no group; scores that do not fit; more to remove than `least` allows.

  References:
    Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710.
    Liu et al., Network Slimming, 2017, arXiv 1708.06519 (global).
    Molchanov et al., Pruning Convolutional Neural Networks for Resource
    Efficient Inference, 2017, arXiv 1611.06440 (normalized).
  """
  if least < 1:
    raise ValueError(f'least is {least}; it must be at least 1.')
  if scope not in ('layer', 'global'):
    raise ValueError(f"scope is {scope!r}; it must be 'layer' or 'global'.")
  unknown = [name for name in scores if name not in graph.groups]
  if unknown:
    raise ValueError(
      f'There are no groups {", ".join(unknown)}, only: '
      f'{", ".join(graph.groups) or "none"}.'
    )
  if scope == 'global':
    return _globally(graph, scores, sparsity, normalize, least)
  if normalize:
    raise ValueError(
      "normalize is for scope='global'; it changes nothing here."
    )
  shares = _shares(list(scores), sparsity)
  kept = {
    name: select_units(graph.groups[name], scores[name], count=count)
    for name, count in unit_counts(graph, shares, least).items()
  }
  return _shrinking(graph, kept)


def greedy_filters(
  graph: ChannelGraph,
  params: Any,
  sparsity: Sparsity,
  criterion: str = 'l1',
  *,
  groups: str | None = None,
  only: str | None = None,
  least: int = 1,
) -> Kept:
  """Chooses layer by layer, from the input on, by greedy norms.

  The norm of a filter leaves out its inputs from filters that are removed
  already. `keep_filters(graph, filter_norms(graph, params), sparsity)` is the
  independent choice, with whole norms.

  Args:
    graph: from `channel_groups`.
    params: what the graph was made of, with values.
    sparsity: as of `keep_filters`.
    criterion: `'l1'`, `'l2'`, `'geometric_median'` or `'batch_norm'`.
    groups: as of `filter_norms`.
    only: as of `filter_norms`.
    least: as of `keep_filters`.

  Returns:
    As `keep_filters`.

  Raises:
    ValueError: as `filter_norms` and `keep_filters`.

  References:
    Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710,
    section 3.3.
  """
  kept: Kept = {}
  if least < 1:
    raise ValueError(f'least is {least}; it must be at least 1.')
  shares = _shares(matching(graph, groups), sparsity)
  for name, count in unit_counts(graph, shares, least).items():
    plan = graph.plan(kept) if kept else None
    scores = filter_norms(
      graph, params, criterion, groups=re.escape(name), only=only, plan=plan
    )
    units = select_units(graph.groups[name], scores[name], count=count)
    kept |= _shrinking(graph, {name: units})
  return kept


def _shares(names, sparsity) -> dict[str, float]:
  """The sparsity of each group that gets one."""
  if not isinstance(sparsity, Mapping):
    return dict.fromkeys(names, sparsity)
  shares: dict[str, float] = {}
  for pattern, share in sparsity.items():
    found = [name for name in names if matches(pattern, name)]
    if not set(found) - set(shares):
      raise ValueError(
        f'Pattern {pattern!r} matches no group that another has not taken: '
        f'{", ".join(names) or "none"}.'
      )
    shares = {**dict.fromkeys(found, share), **shares}
  return {name: shares[name] for name in names if name in shares}


def _globally(graph, scores, sparsity, normalize, least):
  if isinstance(sparsity, Mapping) or not 0 <= sparsity < 1:
    raise ValueError(
      f'sparsity is {sparsity}; with the global scope it must be one number in '
      '[0, 1).'
    )
  if not scores:
    return {}
  names, sizes, ranks = list(scores), [], []
  for name in names:
    values = np.asarray(scores[name], np.float64)
    size = graph.groups[name].size
    sizes.append(size)
    best = select_units(graph.groups[name], values, count=min(least, size))
    if normalize:
      values = values / (np.linalg.norm(values) or 1)
    values = values.copy()
    values[best] = np.inf
    ranks.append(values)
  total, secured = sum(sizes), sum(int(np.isinf(r).sum()) for r in ranks)
  count = kept_count(total, sparsity)
  if count < secured:
    raise ValueError(
      f'sparsity {sparsity} leaves {count} of {total} units; with least = '
      f'{least} of each of {len(names)} groups {secured} stay.'
    )
  order = np.argsort(-np.concatenate(ranks), kind='stable')
  chosen = np.zeros(total, bool)
  chosen[order[:count]] = True
  parts = np.split(chosen, np.cumsum(sizes)[:-1])
  kept = {n: np.flatnonzero(p) for n, p in zip(names, parts, strict=True)}
  return _shrinking(graph, kept)


def _shrinking(graph, kept):
  groups = graph.groups
  return {n: units for n, units in kept.items() if len(units) < groups[n].size}

"""Scores of filters and channels, by which the least important are removed."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jcompress import tree
from jcompress.channels.graph import ChannelGraph, Plan
from jcompress.channels.groups import Group
from jcompress.channels.kernel_axes import output_axes
from jcompress.patterns import matches
from jcompress.structure.weight_groups import leaf_numbers

CRITERIA = (
  'l1',
  'l2',
  'geometric_median',
  'taylor',
  'taylor_abs',
  'batch_norm',
)
Scores = dict[str, Float[np.ndarray, ' units']]


def filter_norms(
  graph: ChannelGraph,
  params: Any,
  criterion: str = 'l1',
  *,
  groups: str | None = None,
  only: str | None = None,
  gradients: Iterable[Any] | None = None,
  plan: Plan | None = None,
) -> Scores:
  """Scores each unit of the groups of a network; the smallest can go.

  The filters of a unit, the vector `w_u`, are its slices of all kernels that
  produce it: of two kernels where a shortcut adds their outputs up. Then

  * `'l1'`: `|w_u|_1`; `'l2'`: `|w_u|_2`
  * `'geometric_median'`: `sum_v |w_u - w_v|_2`, small for what others can do
  * `'taylor'`: the mean over batches of `(sum g w)^2`, the squared change of
    the loss without the unit to first order; `'taylor_abs'`: of `|sum g w|`.
    Summed over the scale and shift of its normalization if it has one, since
    scaling filters before it changes nothing; else over filters and bias.
  * `'batch_norm'`: `sum |scale|`, trained under network slimming

  >>> from jcompress import channel_groups
  >>> apply_fn = lambda p, x: (x @ p['v']) @ p['w']
  >>> params = {'v': np.array([[1.0, -3.0], [2.0, 0.5]]), 'w': np.ones((2, 1))}
  >>> graph = channel_groups(apply_fn, params, np.ones((1, 2)))
  >>> filter_norms(graph, params)['v:1'].tolist()
  [3.0, 3.5]

  Args:
    graph: from `channel_groups`.
    params: what the graph was made of, with values.
    criterion: one of the above.
    groups: a pattern of the names of the groups to score; all if not given.
    only: a pattern of the paths of the leaves that count, in place of the
      above; with `'.*/shortcut/kernel'` the shortcut decides for all.
    gradients: of the loss, one tree a batch; for the Taylor criteria.
    plan: what it removes does not count: the greedy norms of Li et al., which
      leave out the inputs from filters that are removed already.

  Returns:
    The scores of the units of each group, float64, for `select_units` and
    `keep_filters`; none where a network has nothing to remove and no pattern
    asks for it.

  Raises:
    ValueError: a name or pattern that does not exist; a group without anything
      that counts; gradients missing, or given in vain; other params.

  References:
    Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710.
    He et al., Filter Pruning via Geometric Median, 2019, arXiv 1811.00250.
    Molchanov et al., Importance Estimation for Neural Network Pruning, 2019,
    arXiv 1906.10771.
    Liu et al., Learning Efficient Convolutional Networks through Network
    Slimming, 2017, arXiv 1708.06519.
  """
  if criterion not in CRITERIA:
    raise ValueError(f'criterion is {criterion!r}; it must be of {CRITERIA}.')
  is_taylor = criterion.startswith('taylor')
  if is_taylor != (gradients is not None):
    raise ValueError(
      f'criterion is {criterion!r}, gradients are '
      f'{"not " if gradients is None else ""}given; the Taylor criteria, and '
      'they alone, need them.'
    )
  weights = _by_path(graph, params, plan)
  kernels = output_axes(graph)
  used = {
    name: _places(graph, graph.groups[name], weights, kernels, criterion, only)
    for name in matching(graph, groups)
  }
  if is_taylor:
    return _taylor(graph, used, weights, gradients or (), criterion)
  return {
    name: _norm(_rows(graph.groups[name], places, weights), criterion)
    for name, places in used.items()
  }


def matching(graph: ChannelGraph, pattern: str | None) -> list[str]:
  """Names of groups, in the order in which the network computes them.

  Raises:
    ValueError: a pattern that matches none.
  """
  kernels = output_axes(graph)
  order = {path: i for i, path in enumerate(kernels)}

  def first(name):
    places = graph.groups[name].places
    made = [order[p] for p, axis in places if axis in kernels.get(p, ())]
    return min(made, default=len(order))

  names = [
    name for name in graph.groups if pattern is None or matches(pattern, name)
  ]
  if not names and pattern is not None:
    raise ValueError(
      f'Pattern {pattern!r} matches no group of: '
      f'{", ".join(graph.groups) or "none; print the graph for the reasons"}.'
    )
  return sorted(names, key=first)


def _by_path(graph, values, plan=None):
  """Arrays on the host by their paths in the graph, zero where removed."""
  leaves, paths = jax.tree.leaves(values), tree.paths(values)
  at = leaf_numbers(graph, paths, [np.shape(x) for x in leaves])
  found = {}
  for path, i in at.items():
    x = np.array(tree.to_host(leaves[i]), np.float64)
    for axis, labels in enumerate(graph.leaves[path].labels if plan else ()):
      gone = [slice(None)] * axis + [~plan.kept(labels)]
      x[tuple(gone)] = 0
    found[path] = x
  return found


def _places(graph, group: Group, weights, kernels, criterion, only):
  """The leaf axes whose slices are summed up."""
  own = [place for place in group.places if place[0] in weights]
  last = lambda path: path.rpartition('/')[2]
  scales = [place for place in own if last(place[0]) == 'scale']
  filters = [(p, axis) for p, axis in own if axis in kernels.get(p, ())]
  if only is not None:
    found = [
      (p, axis)
      for p, axis in own
      if matches(only, p) and axis in kernels.get(p, (axis,))
    ]
  elif criterion == 'batch_norm':
    found = scales
  elif criterion.startswith('taylor'):
    modules = {path.rpartition('/')[0] for path, _ in scales}
    beside = lambda p: not modules or p.rpartition('/')[0] in modules
    found = [] if modules else filters
    found += [
      (p, axis)
      for p, axis in own
      if p not in kernels and last(p) not in ('mean', 'var') and beside(p)
    ]
  else:
    found = filters
  if not found:
    raise ValueError(
      f'{criterion!r} finds nothing to score group {group} by'
      f'{"" if only is None else f" among {only!r}"}. Give a pattern of the '
      'groups that it can score.'
    )
  return found


def _rows(group: Group, places, values) -> Float[np.ndarray, 'units _']:
  """What each unit owns, one row a unit."""
  parts = []
  for path, axis in places:
    owned = group.owned[path, axis]
    slices = np.moveaxis(values[path], axis, 0)[owned]
    parts.append(slices.reshape(len(owned), -1))
  return np.concatenate(parts, 1)


def _norm(rows, criterion):
  if criterion in ('l1', 'batch_norm'):
    return np.abs(rows).sum(1)
  square = (rows**2).sum(1)
  if criterion == 'l2':
    return np.sqrt(square)
  distance = square[:, None] + square - 2 * rows @ rows.T
  np.fill_diagonal(distance, 0)  # not quite, by rounding
  return np.sqrt(np.maximum(distance, 0)).sum(1)


def _taylor(graph, used, weights, gradients, criterion):
  scores = {name: np.zeros(graph.groups[name].size) for name in used}
  count = 0
  for gradient in gradients:
    slopes = _by_path(graph, gradient)
    for name, places in used.items():
      missing = [path for path, _ in places if path not in slopes]
      if missing:
        raise ValueError(f'There are no gradients of {", ".join(missing)}.')
      products = {path: slopes[path] * weights[path] for path, _ in places}
      change = _rows(graph.groups[name], places, products).sum(1)
      scores[name] += abs(change) if criterion == 'taylor_abs' else change**2
    count += 1
  if not count:
    raise ValueError('There are no gradients; give those of one batch or more.')
  return {name: score / count for name, score in scores.items()}

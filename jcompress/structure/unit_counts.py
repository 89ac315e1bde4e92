"""How many units of each group stay for a share of the channels of layers."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from jcompress.channels.graph import ChannelGraph
from jcompress.channels.kernel_axes import output_axes

Layer = tuple[str, ...]  # names of the groups whose units multiply


def unit_counts(
  graph: ChannelGraph, shares: Mapping[str, float], least: int = 1
) -> dict[str, int]:
  """Numbers of units to keep, so that layers keep the share that was asked.

  Of a group on its own `floor(n (1 - sparsity))` units are kept. Where the
  channels of a layer are the product of several groups, of the groups of a
  convolution and the positions in them or of heads and their dims, half of each
  would be a quarter of the channels. If they have one sparsity, their counts
  are those whose products come nearest to `1 - sparsity` of each such layer,
  by the sum of squared differences; of equally near ones those that keep more
  of the groups that most layers share.

  Args:
    graph: from `channel_groups`.
    shares: the fraction of units to remove of some groups, `0 <= sparsity < 1`.
    least: how many units of each group to keep at least.

  Raises:
    ValueError: a sparsity out of range.
  """
  counts = {}
  for name, sparsity in shares.items():
    if not 0 <= sparsity < 1:
      raise ValueError(f'sparsity is {sparsity}; it must lie in [0, 1).')
    size = graph.groups[name].size
    counts[name] = max(kept_count(size, sparsity), min(least, size))
  sizes = {name: graph.groups[name].size for name in shares}
  shared = _layers(graph, shares)
  for sparsity in sorted({s for s in shares.values() if s > 0}):
    layers = {
      chosen
      for layer in shared
      if (chosen := tuple(n for n in layer if shares[n] == sparsity))
    }
    # A product of one factor is what the count of that group alone is for.
    multiply = {n for layer in layers if len(layer) > 1 for n in layer}
    layers = {layer for layer in layers if set(layer) <= multiply}
    for part in _parts(sorted(layers)):
      counts |= _nearest(part, sizes, 1 - sparsity, least, {})[1]
  return counts


def kept_count(size: int, sparsity: float) -> int:
  """The number of units that are left, as Li et al. count."""
  # 0.7 of 10 units are 7, although the product is a little less.
  return math.floor(size * (1 - sparsity) + 1e-9)


def _layers(graph, shares) -> set[Layer]:
  """Which of the groups multiply in the outputs of some kernel."""
  made = output_axes(graph)
  at: dict[str, dict[int, list[set[str]]]] = {}
  for name in shares:
    for (path, axis), owned in graph.groups[name].owned.items():
      if axis not in made.get(path, ()):
        continue
      axes = at.setdefault(path, {})
      length = graph.leaves[path].shape[axis]
      here = axes.setdefault(axis, [set() for _ in range(length)])
      for i in np.unique(owned):
        here[i].add(name)
  layers = set()
  for axes in at.values():
    owners = [{frozenset(own) for own in here} for here in axes.values()]
    for cell in itertools.product(*owners):
      layers.add(tuple(sorted(frozenset().union(*cell))))
  return layers - {()}


def _parts(layers) -> Iterator[list[Layer]]:
  """Layers that share groups, directly or through others."""
  while layers:
    names, part = set(layers[0]), []
    while found := [layer for layer in layers if names & set(layer)]:
      part += found
      names = names.union(*found)
      layers = [layer for layer in layers if layer not in found]
    yield part


def _nearest(layers, sizes, target, least, fixed):
  """The least error of some layers, and the counts that have it.

  The group that most layers share is tried with every count; what is left
  falls into parts that can be settled one by one.
  """
  open_ = Counter(n for layer in layers for n in layer if n not in fixed)
  if not open_:
    error = sum((_share(layer, sizes, fixed) - target) ** 2 for layer in layers)
    return error, {}
  most = max(open_.values())
  hub = min((sizes[n], n) for n, count in open_.items() if count == most)[1]
  best = math.inf, {}
  for count in range(sizes[hub], min(least, sizes[hub]) - 1, -1):
    now = {**fixed, hub: count}
    left = {layer: tuple(n for n in layer if n not in now) for layer in layers}
    done = [layer for layer, rest in left.items() if not rest]
    error, found = _nearest(done, sizes, target, least, now)[0], {hub: count}
    for names in _parts(sorted({rest for rest in left.values() if rest})):
      part = [layer for layer, rest in left.items() if rest in names]
      more, chosen = _nearest(part, sizes, target, least, now)
      error, found = error + more, found | chosen
    if error < best[0] - 1e-12:
      best = error, found
  return best


def _share(layer, sizes, counts):
  return math.prod(counts[name] / sizes[name] for name in layer)

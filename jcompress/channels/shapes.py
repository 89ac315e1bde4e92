"""Rules of primitives that only move, copy and cut entries."""

import math

import numpy as np

from jcompress.channels.analysis import Analysis, Site
from jcompress.channels.blocks import merge, reshape_blocks, split, unify
from jcompress.channels.tracked import Tracked, either, joined_sums

_LARGEST = (
  1 << 20
)  # indices of flattened axes, each of which takes microseconds


def broadcast(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, shape = arrays[0], site.params['shape']
  labels = list(analysis.copies(shape))
  masked = [x.const] * len(shape)
  for source, target in enumerate(site.params['broadcast_dimensions']):
    axis = x.labels[source]
    if len(axis) == shape[target]:
      labels[target], masked[target] = axis, x.masked_at(source)
    else:
      analysis.freeze(axis, site.why('a single channel is broadcast'))
  return [Tracked(tuple(labels), tuple(masked), x.const, x.sums)]


def transpose(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  return [_pick(arrays[0], site.params['permutation'])]


def squeeze(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  return _drop(analysis, site, arrays[0], site.params['dimensions'])


def unstack(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  rest = _drop(analysis, site, arrays[0], [site.params['axis']])
  return rest * len(site.eqn.outvars)


def reshape(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  """Blocks of axes are flattened, and what that gives is split again."""
  x, shape = arrays[0], site.params['new_sizes']
  if site.params.get('dimensions') is not None or 0 in shape:
    return analysis.give_up(site, arrays)
  for axis in x.labels:
    if len(axis) == 1:
      analysis.freeze(axis, site.why('a single channel is selected'))
  out = analysis.opaque(shape)
  labels, masked = list(out.labels), list(out.masked)
  for old, new in reshape_blocks(x.shape, shape):
    if math.prod(x.shape[d] for d in old) > _LARGEST and len(old + new) > 2:
      for d in old:
        why = site.why('more indices than can be told apart')
        analysis.freeze(x.labels[d], why)
    values = [
      x.masked[d] for d in old if analysis.store.alive(x.labels[d]).any()
    ]
    axes = [merge(analysis.store, [x.labels[d] for d in old])]
    if len(new) > 1:
      axes = split(analysis.store, axes[0], [shape[d] for d in new], site)
    for d, axis in zip(new, axes, strict=True):
      labels[d], masked[d] = axis, either(*values) if values else None
  return [Tracked(tuple(labels), tuple(masked), x.const, x.sums)]


def concatenate(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  along, first = site.params['dimension'], arrays[0]
  labels, masked = list(first.labels), []
  for d in range(len(labels)):
    # Where nothing can be removed, no slice is ever masked.
    live = arrays
    if d == along:
      labels[d] = np.concatenate([a.labels[d] for a in arrays])
      live = [a for a in arrays if analysis.store.alive(a.labels[d]).any()]
    else:
      for other in arrays[1:]:
        unify(analysis.store, labels[d], other.labels[d], site)
    values = [a.masked_at(d) for a in live]
    masked.append(either(*values) if values else None)
  return [Tracked(tuple(labels), tuple(masked), None, joined_sums(arrays))]


def stack(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  axis, joined = site.params['axis'], arrays[0]
  for other in arrays[1:]:
    joined = analysis.join(joined, other, site)
  labels, masked = list(joined.labels), joined.masked_axes()
  labels.insert(axis, analysis.opaque((len(arrays),)).labels[0])
  masked.insert(axis, None)
  return [Tracked(tuple(labels), tuple(masked), None, joined.sums)]


def tile(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, repeats = arrays[0], site.params['reps']
  labels = (np.tile(a, n) for a, n in zip(x.labels, repeats, strict=True))
  return [Tracked(tuple(labels), x.masked, x.const, x.sums)]


def slice_(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, params = arrays[0], site.params
  ranges = zip(
    params['start_indices'],
    params['limit_indices'],
    params['strides'] or (1,) * len(x.labels),
    strict=True,
  )
  cuts = zip(x.labels, ranges, strict=True)
  labels = tuple(axis[slice(*limits)] for axis, limits in cuts)
  return [Tracked(labels, x.masked, x.const, x.sums)]


def split_(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, axis = arrays[0], site.params['axis']
  ends = np.cumsum(np.asarray(site.params['sizes'], np.int64))[:-1]
  return [
    Tracked(
      (*x.labels[:axis], part, *x.labels[axis + 1 :]), x.masked, x.const, x.sums
    )
    for part in np.split(x.labels[axis], ends)
  ]


def reverse(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, axes = arrays[0], site.params['dimensions']
  labels = (a[::-1] if d in axes else a for d, a in enumerate(x.labels))
  return [Tracked(tuple(labels), x.masked, x.const, x.sums)]


def pad(analysis: Analysis, site: Site, arrays: list[Tracked]) -> list[Tracked]:
  """Padded channels are atoms of their own until they meet others."""
  x, value = arrays
  out = analysis.opaque(site.shape)
  labels, masked = list(out.labels), list(out.masked)
  for d, config in enumerate(site.params['padding_config']):
    axis, (low, high, inner) = x.labels[d], map(int, config)
    if inner or low < 0 or high < 0:
      why = site.why('interior or negative padding of a channel axis')
      analysis.freeze(axis, why)
      continue
    before, after = analysis.store.fresh(low), analysis.store.fresh(high)
    labels[d] = np.concatenate([before, axis, after])
    values = [x.masked_at(d)] if analysis.store.alive(axis).any() else []
    values += [value.const] if low or high else []
    masked[d] = either(*values) if values else None
  return [Tracked(tuple(labels), tuple(masked), None, x.sums)]


def iota(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  """Positions have a meaning: they cannot be removed."""
  return [analysis.opaque(site.shape)]


def _pick(x, axes):
  labels = tuple(x.labels[d] for d in axes)
  return Tracked(labels, tuple(x.masked[d] for d in axes), x.const, x.sums)


def _drop(analysis, site, x, dropped):
  dropped = [d % len(x.labels) for d in dropped]
  for d in dropped:
    why = site.why('a single channel is selected')
    analysis.freeze(x.labels[d], why)
  return [_pick(x, [d for d in range(len(x.labels)) if d not in dropped])]


RULES = {
  'broadcast_in_dim': broadcast,
  'concatenate': concatenate,
  'iota': iota,
  'pad': pad,
  'reshape': reshape,
  'rev': reverse,
  'slice': slice_,
  'split': split_,
  'squeeze': squeeze,
  'stack': stack,  # this and the next two from jax 0.12 on
  'tile': tile,
  'transpose': transpose,
  'unstack': unstack,
}

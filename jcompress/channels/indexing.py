"""Rules of look-ups and updates at computed places, and of random numbers."""

import math

from jcompress.channels.analysis import Analysis, Site
from jcompress.channels.blocks import unify
from jcompress.channels.tracked import (
  Number,
  Tracked,
  either,
  is_finite,
  is_zero,
  joined_sums,
)


def gather(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, indices = arrays
  numbers, sizes = site.params['dimension_numbers'], site.params['slice_sizes']
  batching = tuple(numbers.operand_batching_dims)
  pairs = zip(batching, numbers.start_indices_batching_dims, strict=True)
  for d, e in pairs:
    unify(analysis.store, x.labels[d], indices.labels[e], site)
  analysis.freeze(indices.labels[-1], site.why('index vector axis'))
  out = analysis.opaque(site.shape)
  labels, masked = list(out.labels), list(out.masked)
  indexed = site.why('indexed axis')
  left = (*numbers.collapsed_slice_dims, *batching)
  window = [d for d in range(len(sizes)) if d not in left]
  passes = [
    d
    for d in window
    if sizes[d] == len(x.labels[d]) and d not in numbers.start_index_map
  ]
  analysis.kernels.append((x.labels, tuple(passes)))
  for o, d in zip(numbers.offset_dims, window, strict=True):
    if d in passes:
      labels[o], masked[o] = x.labels[d], x.masked_at(d)
    else:
      analysis.freeze(x.labels[d], indexed)
  for d in numbers.collapsed_slice_dims:
    analysis.freeze(x.labels[d], indexed)
  batch = [o for o in range(len(out.labels)) if o not in numbers.offset_dims]
  for o, axis in zip(batch, indices.labels[:-1], strict=True):
    labels[o] = axis
  return [Tracked(tuple(labels), tuple(masked))]


def dynamic_slice(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x = arrays[0]
  labels = list(analysis.opaque(site.shape).labels)
  for d, axis in enumerate(x.labels):
    if len(axis) == len(labels[d]):
      labels[d] = axis
    else:
      analysis.freeze(axis, site.why('dynamically sliced axis'))
  return [Tracked(tuple(labels), x.masked, x.const, x.sums)]


def dynamic_update_slice(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, update = arrays[:2]
  masked = []
  for d, (axis, part) in enumerate(zip(x.labels, update.labels, strict=True)):
    masked.append(either(x.masked_at(d), update.masked_at(d)))
    if len(axis) == len(part):
      unify(analysis.store, axis, part, site)
    else:
      analysis.freeze(axis, site.why('dynamically updated axis'))
      analysis.freeze(part, site.why('dynamically updated axis'))
  sums = {**x.sums, **update.sums}
  return [Tracked(x.labels, tuple(masked), None, sums)]


def scatter(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  """Axes that each update covers whole pass; those that are indexed freeze.

  So the features of nodes, to which edges are added up, stay channels.
  """
  x, indices, updates = arrays
  if site.name == 'scatter' and site.params['update_jaxpr'] is not None:
    return analysis.give_up(site, arrays)  # a function of what is there
  numbers = site.params['dimension_numbers']
  inserted, batching, batches, of_updates, indexed = (
    tuple(map(int, dims))
    for dims in (
      numbers.inserted_window_dims,
      numbers.operand_batching_dims,
      numbers.scatter_indices_batching_dims,
      numbers.update_window_dims,
      numbers.scatter_dims_to_operand_dims,
    )
  )
  window = [d for d in range(len(x.labels)) if d not in (*inserted, *batching)]
  others = [u for u in range(len(updates.labels)) if u not in of_updates]
  pairs = dict(zip(window, of_updates, strict=True))
  for d, e in zip(batching, batches, strict=True):
    unify(analysis.store, x.labels[d], indices.labels[e], site)
    pairs[d] = others[e]
  masked: list[Number] = []
  for d, axis in enumerate(x.labels):
    part = updates.labels[pairs[d]] if d in pairs else axis
    if d in inserted or d in indexed or len(part) != len(axis):
      why = site.why('axis with updates')
      analysis.freeze(axis, why)
      analysis.freeze(part, why)
      masked.append(None)
    else:
      unify(analysis.store, axis, part, site)
      old, new = x.masked_at(d), updates.masked_at(pairs[d])
      masked.append(_updated(site.name, old, new))
  analysis.freeze(indices.labels[-1], site.why('index vector axis'))
  for e, u in enumerate(others):
    if e not in batches:
      why = site.why('axis of updates')
      analysis.freeze(indices.labels[e], why)
      analysis.freeze(updates.labels[u], why)
  return [Tracked(x.labels, tuple(masked), None, joined_sums([x, updates]))]


def _updated(name, old: Number, new: Number) -> Number:
  """What a masked slice holds after updates of some of its entries."""
  if not is_finite(old) or not is_finite(new):
    return math.nan
  if name in ('scatter-add', 'scatter-sub', 'scatter_add', 'scatter_sub'):
    return old if is_zero(new) else None
  if name in ('scatter-mul', 'scatter_mul'):
    return old if is_zero(old) else None
  return either(old, new)


def random_bits(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  """All bits are drawn and then cut, so any of them can be removed."""
  analysis.freeze_array(arrays[0], site.why('axis of random keys'))
  labels = analysis.copies(site.shape)
  return [Tracked(labels, (None,) * len(labels))]


def random_keys(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  for array in arrays:
    analysis.freeze_array(array, site.why('axis of random keys'))
  return [analysis.opaque(v.aval.shape) for v in site.eqn.outvars]


_SCATTERS = (
  'scatter',
  *(
    f'scatter{s}{f}' for s in '-_' for f in ('add', 'max', 'min', 'mul', 'sub')
  ),
)

RULES = {
  'dynamic_slice': dynamic_slice,
  'dynamic_update_slice': dynamic_update_slice,
  'gather': gather,
  'random_bits': random_bits,
  'random_clone': random_keys,
  'random_fold_in': random_keys,
  'random_seed': random_keys,
  'random_split': random_keys,
  'random_unwrap': random_keys,
  'random_wrap': random_keys,
  **dict.fromkeys(_SCATTERS, scatter),
  'threefry2x32': random_keys,
}

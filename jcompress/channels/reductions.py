"""Rules of reductions, windows, transforms, cumulative operations, sorting."""

import math

import numpy as np

from jcompress.channels.analysis import Analysis, Site
from jcompress.channels.tracked import Tracked, is_zero, through_sum

_REDUCTIONS = """
  reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor
  argmax argmin
""".split()
_IDEMPOTENT = ('reduce_max', 'reduce_min', 'reduce_and', 'reduce_or')


def reduction(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  (x,) = arrays
  axes = site.params['axes']
  alive = lambda d: analysis.store.alive(x.labels[d]).any()
  for d in filter(alive, axes):
    if site.name == 'reduce_sum' and analysis.reductions != 'freeze':
      analysis.sum_over(x.labels[d], [x.masked_at(d)], site)
    else:
      why = site.why(f'{site.name} over a channel axis')
      analysis.freeze(x.labels[d], why)
  sums, live = dict(x.sums), list(filter(alive, axes))
  if live:
    labels = np.concatenate([x.labels[d] for d in live])
    for summed in (axes, live):
      sums['sum', math.prod(len(x.labels[d]) for d in summed)] = labels
  rest = [d for d in range(len(x.labels)) if d not in axes]
  masked = tuple(_reduced(site.name, x.masked_at(d)) for d in rest)
  return [Tracked(tuple(x.labels[d] for d in rest), masked, None, sums)]


def _reduced(name, masked):
  if name == 'reduce_sum':
    return through_sum(masked)
  return masked if name in _IDEMPOTENT else None


def window(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, params = arrays[0], site.params
  out = analysis.opaque(site.shape)
  labels, masked = list(out.labels), list(out.masked)
  for d, axis in enumerate(x.labels):
    dilations = (params['base_dilation'][d], params['window_dilation'][d])
    sizes = (params['window_dimensions'][d], params['window_strides'][d])
    if (*sizes, *dilations, *params['padding'][d]) == (1, 1, 1, 1, 0, 0):
      value, is_sum = x.masked_at(d), site.name == 'reduce_window_sum'
      labels[d], masked[d] = axis, through_sum(value) if is_sum else value
    else:
      analysis.freeze(axis, site.why('window over a channel axis'))
  return [Tracked(tuple(labels), tuple(masked))]


def fourier(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  """The last axes are transformed, each frequency from all entries."""
  (x,) = arrays
  rest = len(x.labels) - len(site.params['fft_lengths'])
  for axis in x.labels[rest:]:
    analysis.freeze(axis, site.why('Fourier transform of a channel axis'))
  out = analysis.opaque(site.shape)
  masked = [through_sum(x.masked_at(d)) for d in range(rest)]
  return [
    Tracked(
      (*x.labels[:rest], *out.labels[rest:]),
      (*masked, *out.masked[rest:]),
      None,
      x.sums,
    )
  ]


def cumulative(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  (x,) = arrays
  axis = x.labels[site.params['axis']]
  analysis.freeze(axis, site.why('cumulative over a channel axis'))
  keeps_zero = site.name in ('cumsum', 'cummax', 'cummin')
  masked = (m if keeps_zero and is_zero(m) else None for m in x.masked_axes())
  return [Tracked(x.labels, tuple(masked))]


def sort(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  axis = site.params['dimension']
  for array in arrays:
    why = site.why('sort along a channel axis')
    analysis.freeze(array.labels[axis], why)
    analysis.unify(arrays[0], array, site)
  if len(arrays) == 1:
    return [Tracked(arrays[0].labels, tuple(arrays[0].masked_axes()))]
  return [Tracked(a.labels, (None,) * len(a.labels)) for a in arrays]


def top_k(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  (x,) = arrays
  name = 'axis' if site.name == 'top_k' else 'reduction_dimension'
  axis = site.params[name] % len(x.labels)
  analysis.freeze(x.labels[axis], site.why('top-k along a channel axis'))
  out = analysis.opaque(site.shape)
  labels = tuple(
    out.labels[d] if d == axis else x.labels[d] for d in range(len(x.labels))
  )
  return [Tracked(labels, out.masked) for _ in site.eqn.outvars]


RULES = {
  **dict.fromkeys(_REDUCTIONS, reduction),
  'reduce_window_sum': window,
  'reduce_window_max': window,
  'reduce_window_min': window,
  'fft': fourier,
  'cumsum': cumulative,
  'cumprod': cumulative,
  'cummax': cumulative,
  'cummin': cumulative,
  'cumlogsumexp': cumulative,
  'sort': sort,
  'top_k': top_k,
  'approx_top_k': top_k,
}

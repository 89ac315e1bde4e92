"""The weights of a file: which values they have, and where they are left."""

from typing import Any, NamedTuple

import numpy as np

from jcompress import encoded, tree
from jcompress.experiments import bitmaps, charts, scales
from jcompress.patterns import natural, shortened

_BINS = 64
_FEW = 64  # values that are drawn one by one
_SAMPLE = 1 << 20  # weights that are looked at, at most
_KERNELS, _MASKS = 6, 4  # that are drawn


class Layer(NamedTuple):
  """A kernel of a file.

  Attributes:
    path: of the leaf.
    leaf: as it is encoded.
    values: what it decodes to, floats.
  """

  path: str
  leaf: Any
  values: np.ndarray


def layers(params: Any) -> list[Layer]:
  """The kernels of encoded params: floats with two axes or more.

  In the order of a reader, for whom 2 comes before 10.

  Raises:
    ValueError: no leaf is encoded.
  """
  names = tree.paths(params, is_leaf=encoded.is_encoded)
  found = []
  for name, leaf in zip(names, encoded.encoded_leaves(params), strict=True):
    if isinstance(leaf, encoded.Key):
      continue
    values = tree.to_host(leaf.decode())
    if values.ndim > 1 and values.size and tree.is_float(values):
      found.append(Layer(name, leaf, values))
  return sorted(found, key=lambda x: natural(x.path))


def weights(found: list[Layer]) -> list[str]:
  """Histograms of the nonzero weights of the largest kernels.

  Where there are few values, each has a column; the centers of a codebook are
  strokes at the foot.
  """
  largest = sorted(found, key=lambda x: -x.values.size)[:_KERNELS]
  paths = {x.path for x in largest}
  return [_histogram(x) for x in found if x.path in paths]


def _histogram(layer):
  values = layer.values.ravel()
  live = values[values != 0].astype(np.float64)
  live = live[np.isfinite(live)]
  if not live.size:
    return ''
  each = -(-live.size // _SAMPLE)
  sample = live[::each]
  distinct, counts = np.unique(sample, return_counts=True)
  across, outside = _around_zero(np.abs(sample))
  strokes = np.zeros(0)
  if isinstance(layer.leaf, encoded.Codebook):
    strokes = np.asarray(layer.leaf.centers, np.float64).ravel()
  note = f'{live.size:,} of {values.size:,} weights are not zero'
  if each > 1:
    note += f'; of each {each} of these one is counted'
  if is_few := distinct.size <= _FEW:
    note += f'; values: {distinct.size}'
    strokes = strokes if strokes.size else distinct
  else:
    counts, edges = np.histogram(sample, _BINS, (across.low, across.high))
  if outside:
    note += f'; {100 * outside / sample.size:.2g} % lie further out'
  shares = 100 * counts / sample.size
  frame = charts.Frame(across, scales.linear(shares, '% of these', 4), 180)
  if is_few:
    inside = np.abs(distinct) <= across.high
    pairs = zip(distinct[inside], shares[inside], strict=True)
    marks = charts.spikes(frame, list(pairs))
  else:
    marks = charts.columns(frame, edges.tolist(), shares.tolist())
  strokes = strokes[np.abs(strokes) <= across.high]
  if 0 < strokes.size <= 4 * _FEW:
    marks += charts.levels(frame, strokes.tolist())
  ends = f'from {live.min():.3g} to {live.max():.3g}'
  says = f'Histogram of {layer.path}: {note}, {ends}.'
  return charts.chart(shortened(layer.path, 44), note, frame, marks, says)


def _around_zero(sizes):
  """An axis, and how many sizes do not lie on it: those of a few outliers."""
  width, most = np.quantile(sizes, 0.999), sizes.max()
  width = float(width if 2 * width < most else most)
  half = scales.linear([width], 'weight', 2)
  ticks = (*(-t for t in half.ticks[:0:-1]), *half.ticks)
  scale = scales.Scale(ticks[0], ticks[-1], ticks, 'weight', show='{:g}'.format)
  return scale, int(np.count_nonzero(sizes > scale.high))


def masks(found: list[Layer]) -> list[str]:
  """Pictures of the masks of the first kernels that have zeros."""
  return [_mask(x) for x in found if _has_mask(x.values)][:_MASKS]


def _has_mask(values):
  is_drawn = values.ndim in (2, 4)
  return is_drawn and 0 < np.count_nonzero(values) < 0.9 * values.size


def _mask(layer):
  values = layer.values
  shares = bitmaps.of_mask(values != 0)
  down, across = shares.shape
  kept = 100 * np.count_nonzero(values) / values.size
  if values.ndim == 2:
    note = f'{values.shape[0]} inputs across, {values.shape[1]} outputs down'
  else:
    high, wide, inputs, outputs = values.shape
    note = f'filters of {high}x{wide}; inputs: {inputs}, outputs: {outputs}'
  side = min(charts.WIDTH / across, 12, 300 / down)
  size = f'width="{side * across:.1f}" height="{side * down:.1f}"'
  inside = (
    f'<image {size} class="{"crisp" if side > 2 else ""}" '
    f'href="{bitmaps.source(shares)}"/><rect class="frame" {size}/>'
  )
  title = f'{shortened(layer.path, 30)}: {kept:.3g} % are left'
  says = f'Mask of {layer.path}, {note}: {kept:.3g} % of the weights are left.'
  return charts.figure(title, note, inside, side * down, says)

"""Figures of a run: where the bytes go, how training went, what was shared."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jcompress import encoded, tree
from jcompress.prune.sensitivity import Scan
from jcompress.reports import Report


def figure(width: float = 7, height: float = 4):
  """A figure and its axes, drawn without a display.

  Raises:
    ValueError: matplotlib is not installed.
  """
  try:
    from matplotlib.figure import Figure
  except ImportError as error:
    raise ValueError(
      "Figures need matplotlib: pip install 'jcompress[examples]'."
    ) from error
  result = Figure(figsize=(width, height), layout='constrained')
  return result, result.subplots()


def plot_sizes(report: Report):
  """Bars of the bytes of each leaf: as float32, and in the file."""
  fig, axes = figure()
  rows = [r for r in report.rows if r.file_bytes]
  places = np.arange(len(rows))
  axes.barh(places - 0.2, [r.dense_bytes for r in rows], 0.4, label='float32')
  axes.barh(places + 0.2, [r.file_bytes for r in rows], 0.4, label='file')
  for place, row in zip(places, rows, strict=True):
    text = f' {row.ratio:.1f}x'
    axes.text(row.file_bytes, place + 0.2, text, va='center', fontsize=8)
  axes.set_yticks(places, [r.path for r in rows])
  axes.invert_yaxis()
  axes.set_xscale('log')
  axes.set_xlabel('bytes')
  axes.set_title(
    f'{report.total.file_bytes:,} bytes: {report.total.ratio:.1f}x'
  )
  axes.legend()
  return fig


def plot_training(records: Sequence[dict[str, Any]]):
  """The loss over the steps of all stages.

  Args:
    records: lines of `metrics.jsonl` with `stage`, `step` and `loss`.
  """
  fig, axes = figure()
  offset = 0
  for stage in dict.fromkeys(r['stage'] for r in records):
    mine = [r for r in records if r['stage'] == stage and 'loss' in r]
    steps = [offset + r['step'] for r in mine]
    axes.plot(steps, [r['loss'] for r in mine], label=stage)
    offset = max(steps, default=offset)
  axes.set_yscale('log')
  axes.set_xlabel('step')
  axes.set_ylabel('training loss')
  axes.legend()
  return fig


def plot_weights(encoded_tree: Any, bins: int = 101):
  """Histograms of the nonzero weights of each kernel, with shared values."""
  leaves = encoded.encoded_leaves(encoded_tree)
  names = tree.paths(encoded_tree, is_leaf=encoded.is_encoded)
  fig, axes = figure()
  for name, leaf in zip(names, leaves, strict=True):
    values = tree.to_host(leaf.decode()).astype(np.float32).ravel()
    live = values[values != 0]
    if values.ndim and live.size > 100:
      axes.hist(live, bins, histtype='step', density=True, label=name)
  axes.set_xlabel('weight')
  axes.set_ylabel('density of the nonzero weights')
  if axes.get_legend_handles_labels()[0]:
    axes.legend()
  return fig


def plot_sensitivity(scan: Scan):
  """The loss over the sparsity of each layer, pruned alone."""
  fig, axes = figure()
  for start in (r for r in scan.dense if r.size):
    curve = sorted(
      (1 - r.kept / r.size, r.loss) for r in scan.curve(start.path)
    )
    axes.plot(*zip(*curve, strict=True), marker='.', label=start.path)
  axes.set_xlabel('sparsity of the layer')
  axes.set_ylabel('loss, not trained again')
  axes.legend()
  return fig


def plot_front(rows: Sequence[Any]):
  """Error against bytes of all rows, and the front that none of them beats.

  Args:
    rows: of `results.read`.
  """
  fig, axes = figure(9, 6)
  is_one_family = len({row.family for row in rows}) == 1
  for row in rows:
    axes.plot(row.bytes, row.error, 'o', color='C0')
    axes.annotate(
      row.name if is_one_family else f'{row.family}:{row.name}',
      (row.bytes, row.error),
      xytext=(4, 3),
      textcoords='offset points',
      fontsize=7,
    )
  front = pareto([(row.bytes, row.error) for row in rows])
  axes.step(*zip(*front, strict=True), where='post', color='C1', zorder=0)
  axes.set_xscale('log')
  axes.set_xlabel('bytes of the file')
  axes.set_ylabel(f'{rows[0].metric}, decoded from the file')
  return fig


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
  """The points with less error than all that are not larger, by size.

  >>> pareto([(3, 1.0), (1, 4.0), (2, 5.0)])
  [(1, 4.0), (3, 1.0)]
  """
  front: list[tuple[float, float]] = []
  for size, error in sorted(points):
    if not front or error < front[-1][1]:
      front.append((size, error))
  return front


def plot_layers(rows: Sequence[Any]):
  """Bits a weight and density of each kernel of some rows, as two maps.

  Args:
    rows: of `results.read`, whose networks have the same layers.
  """
  fig, _ = figure(9, 1.5 + 0.3 * len(rows))
  fig.clear()
  maps = fig.subplots(1, 2, sharey=True)
  layers = rows[0].runs[0]['layers']
  large = [n for n in layers if n.endswith('kernel')] or list(layers)
  share = lambda row, n, key: row.mean(
    lambda r: r['layers'][n][key] / max(1, r['layers'][n]['parameters'])
  )
  for axes, title, key, factor in (
    (maps[0], 'bits a weight', 'bytes', 8),
    (maps[1], 'nonzeros, %', 'nonzeros', 100),
  ):
    cells = [[factor * share(row, n, key) for n in large] for row in rows]
    axes.imshow(np.log1p(cells), aspect='auto', cmap='Blues', alpha=0.5)
    for y, values in enumerate(cells):
      for x, value in enumerate(values):
        axes.text(x, y, f'{value:.2g}', ha='center', va='center', fontsize=6)
    names = [n.removeprefix('params/').removesuffix('/kernel') for n in large]
    axes.set_xticks(range(len(large)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(rows)), [r.name for r in rows], fontsize=7)
    axes.set_title(title)
  return fig

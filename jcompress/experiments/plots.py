"""Figures of a run: where the bytes go, how training went, what was shared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jcompress import encoded, tree
from jcompress.prune.increase import Increase
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


def plot_increase(curves: Mapping[str, Increase]):
  """The predicted and the measured loss over the number of removed weights.

  Args:
    curves: by name, of `obd_increase` and `obs_increase`.
  """
  fig, axes = figure()
  for name, curve in curves.items():
    (line,) = axes.plot(
      curve.removed, curve.predicted, '--', label=f'{name}, predicted'
    )
    axes.plot(
      curve.removed,
      curve.measured,
      color=line.get_color(),
      label=f'{name}, measured',
    )
  axes.set_xlabel('removed weights')
  axes.set_ylabel('increase of the loss')
  axes.legend()
  return fig

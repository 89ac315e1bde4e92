"""The page of a run: how training went, what is left, where the bytes are."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jcompress import reports
from jcompress.code import archive
from jcompress.experiments import pages, run_charts, weight_charts
from jcompress.experiments.metrics import read_metrics, write_whole
from jcompress.html_table import table
from jcompress.planning.plan import Plan


def write(
  workdir: pathlib.Path, artifact: archive.Artifact, report: reports.Report
) -> None:
  """Writes `report.html` of a run that is finished.

  Args:
    workdir: with `result.json` and `metrics.jsonl`.
    artifact: what `model.jcz` holds.
    report: of that file.

  Raises:
    OSError: a file is missing.
  """
  result = json.loads((workdir / 'result.json').read_text())
  records = list(read_metrics(workdir / 'metrics.jsonl'))
  page = render(result, records, artifact, report)
  write_whole(workdir / 'report.html', page)


def write_missing(folder: pathlib.Path) -> None:
  """Writes the page of each run below a folder that has a file and no page."""
  for path in sorted(folder.rglob('result.json')):
    has = lambda name, path=path: path.with_name(name).exists()
    if has('model.jcz') and not has('report.html'):
      data = path.with_name('model.jcz').read_bytes()
      write(path.parent, archive.unpack(data), reports.report(data))


def render(
  result: Mapping[str, Any],
  records: Sequence[Mapping[str, Any]],
  artifact: archive.Artifact,
  report: reports.Report,
) -> str:
  """The page: the same for the same run.

  Args:
    result: of `result.json`.
    records: of `metrics.jsonl`.
    artifact: what the file of the run holds.
    report: of that file.

  Returns:
    HTML that needs no other file.
  """
  tree = artifact.tree
  is_whole = isinstance(tree, dict) and 'params' in tree
  layers = weight_charts.layers(tree['params'] if is_whole else tree)
  sections = {
    'Training': run_charts.training(records),
    'Bytes': run_charts.leaves(report),
    'Weights': weight_charts.weights(layers),
    'Masks': weight_charts.masks(layers),
  }
  parts = [
    f'<p>{pages.escaped(_sentence(result))}</p>',
    pages.facts(_facts(result)),
    pages.wide(_stages(result['stages'])),
    *(
      pages.heading(name) + pages.grid(figures)
      for name, figures in sections.items()
      if any(figures)
    ),
    _plan([r['plan'] for r in records if 'plan' in r]),
    _factors(artifact.metadata.get('factored', ())),
    pages.heading('Leaf by leaf'),
    pages.wide(table(reports.COLUMNS, report.cells(), 'total leaves')),
  ]
  return pages.page(f'{result["recipe"]} on {result["data"]}', parts)


def _sentence(result):
  return (
    f'Seed {result["seed"]}. Numbers are of the network that model.jcz '
    'decodes to.'
  )


def _facts(result):
  percent = lambda k, v: f'{v:.2f} %' if k == 'error' else f'{v:.4g}'
  return {
    **{k: percent(k, v) for k, v in result['decoded'].items()},
    'bytes': f'{result["bytes"]:,}',
    'ratio': f'{result["ratio"]:.1f}x',
    'bits a weight': f'{result["bits"]:.3g}',
    'weights left': f'{100 * result["nonzeros"] / result["parameters"]:.3g} %',
    'multiply-adds': run_charts.in_words(result['macs']),
  }


def _stages(stages):
  """What was measured after each stage, a line each."""
  names = list(dict.fromkeys(k for found in stages.values() for k in found))
  digits = {'error': ',.2f', 'loss': ',.4f'}
  lines = [
    [stage, *(_number(found.get(k), digits.get(k, ',.4g')) for k in names)]
    for stage, found in stages.items()
  ]
  units = [f'{k}, %' if k == 'error' else k for k in names]
  return table(['after the stage', *units], lines)


def _number(value, digits):
  return format(value, digits) if isinstance(value, (int, float)) else ''


def _plan(texts):
  """The plan that a stage followed, the last of several."""
  if not texts:
    return ''
  plan = Plan.from_json(texts[-1])
  said = lambda settings: ', '.join(f'{k} {v}' for k, v in settings.items())
  lines = [
    [path, choice.method, said(_rounded(choice.settings))]
    for path, choice in plan.choices.items()
  ]
  made = table(['leaf', 'encoded by', 'settings'], lines)
  tried = pages.grid([run_charts.tried(plan)])
  return pages.heading('Plan') + tried + pages.wide(made)


def _rounded(settings):
  short = lambda v: f'{v:.4g}' if isinstance(v, float) else v
  return {k: short(v) for k, v in settings.items()}


def _factors(records):
  """How layers were factored, if they were."""
  lines = [
    [path, method['name'], ', '.join(map(str, method['ranks']))]
    for record in records
    for path, method in record['plan'].items()
  ]
  if not lines:
    return ''
  made = table(['layer', 'factored by', 'ranks'], lines)
  return pages.heading('Factors') + pages.wide(made)

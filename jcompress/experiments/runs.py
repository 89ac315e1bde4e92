"""What a run writes and prints."""

import json
import pathlib
import sys
from typing import Any

import jax
from rich.console import Console

import jcompress as jc
from jcompress import reports
from jcompress.experiments import files, pages, plots, run_page, sources, stages
from jcompress.experiments.evaluation import evaluate
from jcompress.experiments.metrics import read_metrics, write_whole
from jcompress.experiments.recipe import Recipe


def run_recipe(
  recipe: Recipe,
  config: Any,
  workdir: pathlib.Path,
  root: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Runs a recipe, writes all files of the run, prints the table.

  Args:
    recipe: of a row.
    config: its numbers.
    workdir: where to.
    root: as of `stages.run`.

  Returns:
    What `result.json` holds: the metrics after each stage and those of the file
    that was written and read again, its bytes, and those of each layer.
  """
  done = stages.run(recipe, config, workdir, root=root)
  if jax.process_index() != 0:
    return {}
  path = workdir / 'model.jcz'
  metadata = files.describe(done.task, recipe.name, config.seed)
  jc.save(path, done.shipped, metadata=metadata)
  report = reports.report(path.read_bytes())
  artifact = jc.load(path)
  variables = files.variables_of(artifact)
  measured = evaluate(done.task, variables)
  result = {
    'recipe': recipe.name,
    'data': config.data,
    'seed': config.seed,
    'stages': done.measured,
    'decoded': {k: round(v, 6) for k, v in measured.items()},
    **_sizes(report, done.task, variables),
  }
  write_whole(workdir / 'result.json', json.dumps(result, indent=2) + '\n')
  run_page.write(workdir, artifact, report)
  _write_figures(workdir, report, done.shipped)
  _print_result(report, result, path)
  return result


def _sizes(report, task, variables):
  """Sizes of the params: statistics count in the bytes of the file alone.

  The ratio is to float32 of the network as it began, before channels went.
  """
  params = [r for r in report.rows if r.path.startswith('params/')]
  count = sum(r.parameters for r in params)
  batch = sources.first(task.test, 1)
  began = jax.eval_shape(task.init, jax.random.key(0))['params']
  dense = 4 * sum(x.size for x in jax.tree.leaves(began))
  return {
    'bytes': report.total.file_bytes,
    'ratio': round(dense / report.total.file_bytes, 4),
    'bits': round(8 * report.total.file_bytes / count, 4),
    'parameters': count,
    'nonzeros': sum(r.nonzeros for r in params),
    'macs': jc.flops(task.predict, variables, batch).macs,
    'layers': {
      r.path: {
        'parameters': r.parameters,
        'nonzeros': r.nonzeros,
        'bytes': r.file_bytes,
      }
      for r in params
    },
  }


def _write_figures(workdir, report, shipped):
  records = list(read_metrics(workdir / 'metrics.jsonl'))
  try:
    figures = {
      'sizes': plots.plot_sizes(report),
      'training': plots.plot_training(records),
      'weights': plots.plot_weights(shipped['params']),
    }
  except ValueError as error:
    print(f'No figures: {error}')
    figures = {}
  for title, figure in figures.items():
    (workdir / f'{title}.png').write_bytes(pages.png(figure))


def _print_result(report, result, path):
  out = console()
  print_report(report)
  for stage, measured in result['stages'].items():
    out.print(f'{stage}: {in_words(measured)}', soft_wrap=True)
  out.print(
    f'decoded from {path}: {in_words(result["decoded"])}, '
    f'{result["bytes"]:,} bytes, {result["ratio"]:.1f}x',
    style='bold',
    soft_wrap=True,
  )


def print_report(report: reports.Report) -> None:
  """Prints the table of a report, its numbers whole at any width."""
  out = console()
  out.print(report.table(out.width), crop=False, soft_wrap=True)


def in_words(measured: dict[str, float]) -> str:
  """Metrics as a person reads them: `error 8.40 %, loss 0.231`."""
  show = lambda k, v: f'{k} {v:.2f} %' if k == 'error' else f'{k} {v:.4g}'
  return ', '.join(show(k, v) for k, v in measured.items())


def console() -> Console:
  """Where tables go: as wide as the terminal, or as a report in a pipe."""
  return Console(width=None if sys.stdout.isatty() else reports.WIDTH)

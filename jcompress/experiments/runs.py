"""What a training run writes and prints, and the models that files hold."""

import importlib.util
import json
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
from rich.console import Console

import jcompress as jc
from jcompress import models, reports, train
from jcompress.experiments import data, pages, plots, stages


def load_recipe(path: str) -> stages.Recipe:
  """The functions of a config file.

  Raises:
    ValueError: the file does not define one of them.
  """
  spec = importlib.util.spec_from_file_location('jcompress_config', path)
  if spec is None or spec.loader is None:
    raise ValueError(f'{path} is not a Python file.')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  missing = [n for n in stages.Recipe._fields if not hasattr(module, n)]
  if missing:
    raise ValueError(f'{path} does not define {", ".join(missing)}().')
  return stages.Recipe(*(getattr(module, n) for n in stages.Recipe._fields))


def run_config(
  config: Any, recipe: stages.Recipe, workdir: pathlib.Path
) -> dict[str, Any]:
  """Trains, writes all files of a run, prints the table.

  Returns:
    What was measured: `dense_error`, `decoded_error` (of the file that was
    written and read again), `file_bytes`, `ratio`.
  """
  dataset = data.load(config.data, data_dir=config.data_dir or None)
  workdir.mkdir(parents=True, exist_ok=True)
  _require_same_config(config, workdir / 'config.json')
  done = stages.run(config, recipe, dataset, workdir)
  last = done[-1]
  encoded = last.compressor.encode(
    last.train_state.latent, last.train_state.state
  )
  if jax.process_index() != 0:
    return {}
  path = workdir / 'model.jcz'
  metadata = {
    'model': config.model,
    'data': config.data,
    'classes': dataset.classes,
  }
  jc.save(path, encoded, metadata=metadata)
  artifact, report = jc.load(path), reports.report(path.read_bytes())
  result = {
    **{f'{s.name}_error': round(s.error, 4) for s in done},
    'decoded_error': round(decoded_error(artifact, dataset), 4),
    'file_bytes': report.total.file_bytes,
    'ratio': round(report.total.ratio, 4),
  }
  (workdir / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
  _write_pages(workdir, config, report, result, artifact.tree)
  _print_result(report, result, done, path)
  return result


def _require_same_config(config, path):
  """Notes the config of a new run; refuses to go on with one of another."""
  free = ('data_dir', 'log_every', 'checkpoint_every')
  numbers = json.loads(config.to_json())
  if not path.exists():
    if jax.process_index() == 0:
      stages.write_whole(path, json.dumps(numbers, indent=2) + '\n')
    return
  before = json.loads(path.read_text())
  changed = [
    f'{key}: {before.get(key)} -> {numbers.get(key)}'
    for key in sorted(before | numbers)
    if key not in free and before.get(key) != numbers.get(key)
  ]
  if changed:
    raise ValueError(
      f'{path.parent} holds a run of another config ({"; ".join(changed)}). '
      'Give a new --workdir, or delete that one.'
    )


def _write_pages(workdir, config, report, result, encoded):
  records = list(stages.read_metrics(workdir / 'metrics.jsonl'))
  try:
    figures = {
      'sizes': plots.plot_sizes(report),
      'training': plots.plot_training(records),
      'weights': plots.plot_weights(encoded),
    }
  except ValueError as error:
    print(f'No figures: {error}')
    figures = {}
  for name, figure in figures.items():
    (workdir / f'{name}.png').write_bytes(pages.png(figure))
  title = f'{config.model} on {config.data}'
  page = pages.render(title, result, report, figures)
  (workdir / 'report.html').write_text(page)


def _print_result(report, result, done, path):
  out = console()
  out.print(report.table())
  for stage in done:
    out.print(f'test error, {stage.name}: {stage.error:.2f} %')
  out.print(
    f'test error, decoded from {path}: {result["decoded_error"]:.2f} %, '
    f'{result["file_bytes"]:,} bytes, {result["ratio"]:.1f}x',
    style='bold',
  )


def console() -> Console:
  """Where tables go: as wide as the terminal, or as a report in a pipe."""
  return Console(width=None if sys.stdout.isatty() else reports.WIDTH)


def decoded_error(artifact: jc.Artifact, dataset: data.Dataset) -> float:
  """Test error of the model that an artifact describes and holds."""
  return train.error_rate(
    model_of(artifact.metadata),
    jc.decode(artifact.tree),
    data.normalize(dataset.test_images),
    dataset.test_labels,
  )


def model_of(metadata: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
  """`(params, images) -> logits` of the model that a file describes.

  Raises:
    ValueError: it does not say its model.
  """
  if 'model' not in metadata:
    raise ValueError(
      f'The file does not say its model; its metadata are {metadata}. Rebuild '
      'the model and call jc.decode(tree).'
    )
  model = models.build(metadata['model'], metadata.get('classes', 10))
  return lambda params, images: model.apply({'params': params}, images)


def stage_params(
  config: Any,
  recipe: stages.Recipe,
  dataset: data.Dataset,
  workdir: pathlib.Path,
  stage: str | None = None,
) -> Any:
  """The params after a stage of a run, the first one if none is named.

  They come from the checkpoints of the run; what is not trained yet is trained.

  Raises:
    ValueError: the config has no such stage, or the run is another one.
  """
  names = list(config.stages)
  stage = names[0] if stage is None else stage
  if stage not in names:
    raise ValueError(f'No stage {stage!r}; there are {", ".join(names)}.')
  workdir.mkdir(parents=True, exist_ok=True)
  _require_same_config(config, workdir / 'config.json')
  config = config.copy_and_resolve_references()
  config.stages = tuple(names[: names.index(stage) + 1])
  last = stages.run(config, recipe, dataset, workdir)[-1]
  return last.compressor.view(last.train_state.latent, last.train_state.state)

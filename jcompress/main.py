"""The `jcompress` command: train, inspect, evaluate."""

import importlib.util
import json
import logging
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags
from rich.console import Console

import jcompress as jc
from jcompress import data, models, pages, plots, reports, stages, train
from jcompress.code import container

USAGE = """\
jcompress train --config=FILE.py [--config.KEY=VALUE ...] --workdir=FOLDER
    [--distributed]   Runs the stages of a config, or goes on with them, and
                      writes model.jcz, metrics.jsonl, figures, report.html.
jcompress inspect FILE.jcz
                      Prints what each layer costs in the file.
jcompress evaluate FILE.jcz [--data=NAME] [--data_dir=FOLDER]
                      Rebuilds the model from the file, prints its test error.
"""


def run() -> None:
  """Entry point: prints a `ValueError` as one line, without a traceback."""
  logging.getLogger('absl').setLevel(logging.WARNING)
  try:
    main(sys.argv[1:])
  except (ValueError, OSError, ImportError, flags.Error) as error:
    if os.environ.get('JCOMPRESS_TRACEBACK'):
      raise
    sys.exit(f'jcompress: {error}')


def main(arguments: Sequence[str]) -> None:
  """Runs one command; `arguments` are those after the program's name.

  Raises:
    ValueError: an unknown command, or whatever is wrong with its input.
  """
  commands = {'train': _train, 'inspect': _inspect, 'evaluate': _evaluate}
  if not arguments or arguments[0] in ('help', '-h', '--help', '-help'):
    print(USAGE, end='')
    return
  name, *rest = arguments
  if name not in commands:
    raise ValueError(f'no command {name!r}; there are {", ".join(commands)}.')
  commands[name](rest)


def _train(arguments):
  values = flags.FlagValues()
  config_flags.DEFINE_config_file(
    'config',
    help_string='config file',
    flag_values=values,
    sys_argv=['jcompress', *arguments],
  )
  flags.DEFINE_string('workdir', None, 'output folder', flag_values=values)
  flags.DEFINE_boolean(
    'distributed', False, 'start up on many hosts', flag_values=values
  )
  _parse(values, arguments, 0)
  if values.config is None or values.workdir is None:
    raise ValueError('train needs --config=FILE.py and --workdir=FOLDER.')
  if values.distributed:
    jax.distributed.initialize()
  path = config_flags.get_config_filename(values['config'])
  run_config(values.config, load_recipe(path), pathlib.Path(values.workdir))


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
    'decoded_error': round(_error(artifact, dataset), 4),
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
  console = _console()
  console.print(report.table())
  for stage in done:
    console.print(f'test error, {stage.name}: {stage.error:.2f} %')
  console.print(
    f'test error, decoded from {path}: {result["decoded_error"]:.2f} %, '
    f'{result["file_bytes"]:,} bytes, {result["ratio"]:.1f}x',
    style='bold',
  )


def _console():
  width = None if sys.stdout.isatty() else reports.WIDTH
  return Console(width=width)


def _inspect(arguments):
  (path,) = _parse(flags.FlagValues(), arguments, 1)
  contents = pathlib.Path(path).read_bytes()
  for key, value in container.unpack(contents).metadata.items():
    print(f'{key}: {value}')
  _console().print(reports.report(contents).table())


def _evaluate(arguments):
  values = flags.FlagValues()
  flags.DEFINE_string('data', None, 'name of the set', flag_values=values)
  flags.DEFINE_string('data_dir', None, 'its folder', flag_values=values)
  (path,) = _parse(values, arguments, 1)
  artifact = jc.load(path)
  name = values.data or artifact.metadata.get('data')
  if name is None:
    raise ValueError(f'{path} does not say its data set; give --data=NAME.')
  dataset = data.load(name, data_dir=values.data_dir)
  error = _error(artifact, dataset)
  print(f'test error on {name}, decoded from {path}: {error:.2f} %')


def _error(artifact, dataset):
  """Test error of the model that an artifact describes and holds."""
  if 'model' not in artifact.metadata:
    raise ValueError(
      f'The file does not say its model; its metadata are '
      f'{artifact.metadata}. Rebuild the model and call jc.decode(tree).'
    )
  model = models.build(
    artifact.metadata['model'], artifact.metadata.get('classes', 10)
  )
  return train.error_rate(
    lambda params, images: model.apply({'params': params}, images),
    jc.decode(artifact.tree),
    data.normalize(dataset.test_images),
    dataset.test_labels,
  )


def _parse(values, arguments, wanted):
  """Parses flags; gives the other arguments, `wanted` in number."""
  others = values(['jcompress', *arguments])[1:]
  if len(others) != wanted:
    raise ValueError(
      f'expected {wanted} file name(s), got {others}. Usage:\n{USAGE}'
    )
  return others


if __name__ == '__main__':
  run()

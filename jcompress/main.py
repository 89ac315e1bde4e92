"""The `jcompress` command: train, inspect, evaluate."""

import logging
import os
import pathlib
import sys
from collections.abc import Sequence

import jax
from absl import flags
from ml_collections import config_flags

import jcompress as jc
from jcompress import reports
from jcompress.code import container
from jcompress.experiments import data, scans
from jcompress.experiments.runs import (
  console,
  decoded_error,
  load_recipe,
  model_of,
  run_config,
  stage_params,
)

USAGE = """\
jcompress train --config=FILE.py [--config.KEY=VALUE ...] --workdir=FOLDER
    [--distributed]   Runs the stages of a config, or goes on with them, and
                      writes model.jcz, metrics.jsonl, figures, report.html.
jcompress inspect FILE.jcz
                      Prints what each layer costs in the file.
jcompress evaluate FILE.jcz [--data=NAME] [--data_dir=FOLDER]
                      Rebuilds the model from the file, prints its test error.
jcompress sensitivity FILE.jcz [--workdir=FOLDER] [--data=...]
jcompress sensitivity --config=FILE.py [...] --workdir=FOLDER [--stage=NAME]
    [--sparsities=0.5,0.9] [--sparsity=TOTAL] [--examples=COUNT]
                      Prunes each layer alone, of a file or after a stage of a
                      run; prints the loss and writes sensitivity.json and .png.
"""

SPARSITIES = ['0.2', '0.4', '0.6', '0.8', '0.9', '0.95', '0.98']


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
  commands = {
    'train': _train,
    'inspect': _inspect,
    'evaluate': _evaluate,
    'sensitivity': _sensitivity,
  }
  if not arguments or arguments[0] in ('help', '-h', '--help', '-help'):
    print(USAGE, end='')
    return
  name, *rest = arguments
  if name not in commands:
    raise ValueError(f'no command {name!r}; there are {", ".join(commands)}.')
  commands[name](rest)


def _train(arguments):
  values = flags.FlagValues()
  _define_config(values, arguments)
  flags.DEFINE_boolean(
    'distributed', False, 'start up on many hosts', flag_values=values
  )
  _parse(values, arguments, 0)
  if values.config is None or values.workdir is None:
    raise ValueError('train needs --config=FILE.py and --workdir=FOLDER.')
  if values.distributed:
    jax.distributed.initialize()
  run_config(values.config, _recipe(values), pathlib.Path(values.workdir))


def _inspect(arguments):
  (path,) = _parse(flags.FlagValues(), arguments, 1)
  contents = pathlib.Path(path).read_bytes()
  for key, value in container.unpack(contents).metadata.items():
    print(f'{key}: {value}')
  console().print(reports.report(contents).table())


def _evaluate(arguments):
  values = flags.FlagValues()
  _define_data(values)
  (path,) = _parse(values, arguments, 1)
  artifact = jc.load(path)
  name, dataset = _dataset_of(artifact, path, values)
  error = decoded_error(artifact, dataset)
  print(f'test error on {name}, decoded from {path}: {error:.2f} %')


def _sensitivity(arguments):
  values = flags.FlagValues()
  _define_config(values, arguments)
  _define_data(values)
  flags.DEFINE_string('stage', None, 'of the run', flag_values=values)
  flags.DEFINE_list('sparsities', SPARSITIES, 'to try', flag_values=values)
  flags.DEFINE_float('sparsity', None, 'of all layers', flag_values=values)
  flags.DEFINE_integer('examples', 10_000, 'at most', flag_values=values)
  of_run = any(a.lstrip('-').startswith('config') for a in arguments)
  others = _parse(values, arguments, 0 if of_run else 1)
  grid = [float(s) for s in values.sparsities]
  if of_run:
    if values.workdir is None or values.data or values.data_dir:
      raise ValueError(
        'With --config give --workdir, and the data as --config.data=NAME and '
        '--config.data_dir=FOLDER.'
      )
    config, workdir = values.config, pathlib.Path(values.workdir)
    dataset = data.load(config.data, data_dir=config.data_dir or None)
    params = stage_params(
      config, _recipe(values), dataset, workdir, values.stage
    )
    apply_fn = model_of({'model': config.model, 'classes': dataset.classes})
  else:
    if values.stage is not None:
      raise ValueError('--stage needs --config and --workdir of its run.')
    (path,) = others
    artifact = jc.load(path)
    workdir = pathlib.Path(values.workdir or pathlib.Path(path).parent)
    _, dataset = _dataset_of(artifact, path, values)
    params, apply_fn = jc.decode(artifact.tree), model_of(artifact.metadata)
  scan = scans.scan_model(apply_fn, params, dataset, grid, values.examples)
  scans.write_scan(scan, workdir, values.sparsity)


def _define_config(values, arguments):
  config_flags.DEFINE_config_file(
    'config',
    help_string='config file',
    flag_values=values,
    sys_argv=['jcompress', *arguments],
  )
  flags.DEFINE_string('workdir', None, 'output folder', flag_values=values)


def _define_data(values):
  flags.DEFINE_string('data', None, 'name of the set', flag_values=values)
  flags.DEFINE_string('data_dir', None, 'its folder', flag_values=values)


def _recipe(values):
  return load_recipe(config_flags.get_config_filename(values['config']))


def _dataset_of(artifact, path, values):
  name = values.data or artifact.metadata.get('data')
  if name is None:
    raise ValueError(f'{path} does not say its data set; give --data=NAME.')
  return name, data.load(name, data_dir=values.data_dir)


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

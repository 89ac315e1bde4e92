"""The `jcompress` command."""

import logging
import os
import pathlib
import shlex
import sys
from collections.abc import Sequence

import jax
from absl import flags

import jcompress as jc
from jcompress import reports
from jcompress.code import archive
from jcompress.code.atomic import replace_file
from jcompress.experiments import (
  arguments,
  checkpoint_commands,
  exporting,
  files,
  onnx_files,
  results,
  runs,
  scans,
  stages,
  sweep,
)
from jcompress.experiments.evaluation import evaluate
from jcompress.experiments.training import Stopped

USAGE = """\
jcompress train --config=FILE.py[:ROW] [--config.KEY=VALUE ...] --workdir=FOLDER
                Runs the stages of a config, or goes on with them; writes
                model.jcz, result.json, metrics.jsonl, figures, report.html.
jcompress compress MODEL --output=FILE.jcz --size=10MB | --bits=4 | --error=0.05
                Compresses a finished checkpoint (safetensors, npz, ...).
jcompress decompress FILE.jcz --output=MODEL
                Writes it as a checkpoint again.
jcompress compare A B
                Tells how far the arrays of two checkpoints are apart.
jcompress inspect FILE.jcz
                Prints what each layer costs in the file.
jcompress evaluate FILE.jcz [--data=NAME] [--config=FILE.py[:ROW]]
                Rebuilds the model from the file and measures it.
jcompress export FILE.jcz --output=MODEL.stablehlo
                Writes the packed network as StableHLO.
jcompress sensitivity FILE.jcz | --config=FILE.py[:ROW] --workdir=FOLDER
                Prunes each layer alone, of a file or after a stage of a run.
jcompress sweep --config=FILE.py[:ROW] [...] --seeds=0,1,2 --workdir=FOLDER
                Runs rows and seeds that are missing, on several processes.
jcompress results FOLDER
                Makes tables and figures of all runs in a folder.
jcompress COMMAND --help    What else a command takes.
jcompress --version
"""

TRAIN = """\
jcompress train --config=FILE.py[:ROW] [--config.KEY=VALUE ...] --workdir=FOLDER

Runs the stages of a config file, or of one of its rows; --config=jcompress:NAME
is one that comes with the package. A run that was cut off goes on where it
stopped, and ends in the same bytes. Ctrl-C saves and stops."""

INSPECT = """\
jcompress inspect FILE.jcz

Prints the metadata of a file and what each layer costs in it."""

EVALUATE = """\
jcompress evaluate FILE.jcz

Rebuilds the model from the file, and measures it on the test examples. A model
that does not come with the package needs the --config that made it."""

EXPORT = """\
jcompress export FILE.jcz --output=MODEL.stablehlo [--rows=1] [--config=FILE.py]
jcompress export FILE.jcz --output=MODEL.onnx [--rows=0] [--config=FILE.py]

Writes the network and its packed weights as StableHLO for CPU, GPU and TPU,
which jax.export.deserialize(data).call(*inputs) runs; or, by the ending of the
output, as ONNX (pip install 'jcompress[onnx]'); 0 rows are any number there."""

SENSITIVITY = """\
jcompress sensitivity FILE.jcz [--config=FILE.py[:ROW]]
jcompress sensitivity --config=FILE.py[:ROW] --workdir=FOLDER

Prunes each layer alone, of a file or after a stage of a run; prints the loss on
training examples and writes sensitivity.json and sensitivity.png."""

SPARSITIES = ['0.2', '0.4', '0.6', '0.8', '0.9', '0.95', '0.98']


def run() -> None:
  """Entry point: prints an error of use as one line, without a traceback."""
  logging.getLogger('absl').setLevel(logging.WARNING)
  try:
    main(sys.argv[1:])
  except (Stopped, KeyboardInterrupt) as stop:
    what = str(stop) or 'stopped; what was saved is kept.'
    again = shlex.join(['jcompress', *sys.argv[1:]])
    print(f'jcompress: {what} Go on with: {again}', file=sys.stderr)
    sys.exit(130)
  except (ValueError, OSError, ImportError, flags.Error) as error:
    if os.environ.get('JCOMPRESS_TRACEBACK'):
      raise
    sys.exit(f'jcompress: {error}')


def main(words: Sequence[str]) -> None:
  """Runs one command; `words` are those after the program's name.

  Raises:
    ValueError: an unknown command, or whatever is wrong with its input.
  """
  commands = {
    'train': _train,
    'compress': checkpoint_commands.compress,
    'decompress': checkpoint_commands.decompress,
    'compare': checkpoint_commands.compare,
    'inspect': _inspect,
    'export': _export,
    'evaluate': _evaluate,
    'sensitivity': _sensitivity,
    'sweep': sweep.main,
    'results': results.main,
  }
  if not words or words[0] in ('help', '-h', '--help', '-help'):
    print(USAGE, end='')
    return
  name, *rest = words
  if name == '--version':
    print(f'jcompress {jc.__version__}')
    return
  if name not in commands:
    raise ValueError(f'no command {name!r}; there are {", ".join(commands)}.')
  commands[name](rest)


def _train(words):
  parser = arguments.Parser(TRAIN)
  parser.folder('workdir', 'output folder')
  parser.folder('root', 'where runs lie that this one begins with')
  parser.boolean('distributed', 'start up on many hosts')
  parser.config(words)
  if not parser.parse(words, 0):
    return
  values = parser.values
  if values.config is None or values.workdir is None:
    raise ValueError('train needs --config=FILE.py and --workdir=FOLDER.')
  if values.distributed:
    jax.distributed.initialize()
  folders = values.root, values.workdir
  root, workdir = (folder and pathlib.Path(folder) for folder in folders)
  runs.run_recipe(parser.recipe(), values.config, workdir, root)


def _inspect(words):
  parser = arguments.Parser(INSPECT)
  if not parser.parse(words, 1):
    return
  contents = pathlib.Path(parser.others[0]).read_bytes()
  for key, value in archive.unpack(contents).metadata.items():
    print(f'{key}: {value}')
  runs.print_report(reports.report(contents))


def _evaluate(words):
  parser = arguments.Parser(EVALUATE)
  parser.data()
  parser.config(words)
  if not parser.parse(words, 1):
    return
  task, variables = _network(parser, parser.others[0])
  found, data = runs.in_words(evaluate(task, variables)), task.about.get('data')
  print(f'{found} on {data}, from {parser.others[0]}')


def _export(words):
  parser = arguments.Parser(EXPORT)
  parser.folder('output', 'the file to write')
  parser.count('rows', 1, 'examples at a time')
  parser.data()
  parser.config(words)
  if not parser.parse(words, 1):
    return
  values, artifact = parser.values, jc.load(parser.others[0])
  if values.output is None:
    raise ValueError('export needs --output=MODEL.stablehlo or MODEL.onnx.')
  task, tree = _task(parser, artifact), files.encoded_variables(artifact)
  if values.output.endswith('.onnx'):
    data, inputs = onnx_files.onnx(task, tree, values.rows or None)
  else:
    data, inputs = exporting.stablehlo(task, tree, values.rows)
  replace_file(values.output, lambda path: path.write_bytes(data))
  print(f'{values.output}: {len(data):,} bytes, of {", ".join(inputs)}')


def _network(parser, path):
  """The task and the variables of a file, by its config where one is given."""
  artifact = jc.load(path)
  return _task(parser, artifact), files.variables_of(artifact)


def _task(parser, artifact):
  values = parser.values
  if values.config is not None:
    task = parser.recipe().get_task(values.config)
    return files.shrunk(task, artifact.metadata)
  return files.task_of(artifact.metadata, values.data, values.data_dir)


def _sensitivity(words):
  parser = arguments.Parser(SENSITIVITY)
  parser.data()
  parser.config(words)
  parser.folder('workdir', 'output folder')
  parser.text('stage', 'of the run; its first if not given')
  parser.texts('sparsities', SPARSITIES, 'to try')
  parser.number('sparsity', 'of all layers, to share out over them, too')
  parser.count('examples', 10_000, 'of the training set, at most')
  if not parser.parse(words, 0, 1):
    return
  values = parser.values
  grid = [float(s) for s in values.sparsities]
  if parser.others:
    if values.stage is not None:
      raise ValueError(
        '--stage is of a run: give --config and --workdir alone.'
      )
    (path,) = parser.others
    task, variables = _network(parser, path)
    workdir = pathlib.Path(values.workdir or pathlib.Path(path).parent)
  else:
    task, variables, workdir = _after_stage(parser)
  scan = scans.scan_task(task, variables, grid, values.examples)
  scans.write_scan(scan, workdir, values.sparsity)


def _after_stage(parser):
  """The network after a stage of a run, the first if none is named."""
  values = parser.values
  if not values.config or not values.workdir or values.data or values.data_dir:
    raise ValueError(
      'Give a FILE.jcz, or --config and --workdir of a run, and its data as '
      '--config.data=NAME and --config.data_dir=FOLDER.'
    )
  found, config = parser.recipe(), values.config
  first, *_ = found.get_stages(config, found.get_task(config))
  workdir = pathlib.Path(values.workdir)
  done = stages.run(found, config, workdir, until=values.stage or first.name)
  return done.task, done.variables, workdir


if __name__ == '__main__':
  run()

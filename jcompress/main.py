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
from jcompress.experiments import (
  arguments,
  checkpoint_commands,
  file_commands,
  results,
  runs,
  sweep,
)
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
    'inspect': file_commands.inspect,
    'export': file_commands.export,
    'evaluate': file_commands.evaluate,
    'sensitivity': file_commands.sensitivity,
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


if __name__ == '__main__':
  run()

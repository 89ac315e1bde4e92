"""The commands that read a file, or a run, and tell something of it."""

import pathlib
from collections.abc import Sequence

import jcompress as jc
from jcompress import reports
from jcompress.code import archive
from jcompress.code.atomic import replace_file
from jcompress.experiments import (
  arguments,
  evaluation,
  exporting,
  files,
  onnx_files,
  runs,
  scans,
  stages,
)

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


def inspect(words: Sequence[str]) -> None:
  """`jcompress inspect`: what each layer costs."""
  parser = arguments.Parser(INSPECT)
  if not parser.parse(words, 1):
    return
  contents = pathlib.Path(parser.others[0]).read_bytes()
  for key, value in archive.unpack(contents).metadata.items():
    print(f'{key}: {value}')
  runs.print_report(reports.report(contents))


def evaluate(words: Sequence[str]) -> None:
  """`jcompress evaluate`: what the model of a file is worth."""
  parser = arguments.Parser(EVALUATE)
  parser.data()
  parser.config(words)
  if not parser.parse(words, 1):
    return
  task, variables = _network(parser, parser.others[0])
  found = runs.in_words(evaluation.evaluate(task, variables))
  data = task.about.get('data')
  print(f'{found} on {data}, from {parser.others[0]}')


def export(words: Sequence[str]) -> None:
  """`jcompress export`: a file as StableHLO or ONNX."""
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


def sensitivity(words: Sequence[str]) -> None:
  """`jcompress sensitivity`: what pruning each layer alone does."""
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

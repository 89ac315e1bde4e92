"""The commands for checkpoints that were trained elsewhere."""

import functools
import pathlib
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track

from jcompress.experiments import arguments, packing, runs

COMPRESS = """\
jcompress compress MODEL --output=FILE.jcz --size=10MB | --bits=4 | --error=0.05
jcompress compress MODEL --output=FILE.jcz --plan=FILE.json

Compresses a finished checkpoint without data: .safetensors (or the index of its
shards), .npz, .msgpack, .h5 or a folder of orbax. Chooses bits for each array
and prints the report of the file. A plan that is there is followed; another
name gets the one that is made."""

DECOMPRESS = """\
jcompress decompress FILE.jcz --output=MODEL

Writes the arrays of a file as a checkpoint, in the format of its ending. Names,
shapes, dtypes and metadata are those of the original."""

COMPARE = """\
jcompress compare A B

Relative errors of the arrays of B, a checkpoint or FILE.jcz, to those of A."""


def compress(words: Sequence[str]) -> None:
  """`jcompress compress`: a checkpoint to a file."""
  parser = arguments.Parser(COMPRESS)
  parser.folder('output', 'the file to write')
  parser.text('size', 'bytes of the file at most, such as 8.5MB')
  parser.number('bits', 'for each weight instead')
  parser.number('error', 'of the weights at most instead, relative')
  parser.folder('plan', 'file of a plan, to follow or to write')
  parser.text('pattern', 'of the arrays to choose for; all if not given')
  parser.texts('methods', ['steps'], 'to choose from: steps, linear, kmeans')
  parser.text('layout', 'jax or torch: where kernels have their outputs')
  if not parser.parse(words, 1):
    return
  values = parser.values
  if values.output is None:
    raise ValueError('compress needs --output=FILE.jcz.')
  budget = {k: values[k].value for k in ('bits', 'error', 'layout', 'pattern')}
  if values.size is not None:
    budget['size'] = packing.size_of(values.size)
  if values.methods != ['steps']:
    budget['methods'] = tuple(values.methods)
  path, output = pathlib.Path(parser.others[0]), pathlib.Path(values.output)
  plan = values.plan and pathlib.Path(values.plan)
  shown = functools.partial(
    track,
    description=f'Planning {path.name}',
    console=Console(stderr=True),
    transient=True,
  )
  report, plan = packing.compress_file(
    path, output, plan, progress=shown, **budget
  )
  runs.print_report(report)
  size = report.total.file_bytes
  print(
    f'{output}: {size:,} bytes, {packing.bytes_of(path) / size:.1f} times less '
    f'than {path}; relative error of the weights {plan.error:.3g}'
  )


def decompress(words: Sequence[str]) -> None:
  """`jcompress decompress`: a file to a checkpoint."""
  parser = arguments.Parser(DECOMPRESS)
  parser.folder('output', 'the checkpoint to write')
  if not parser.parse(words, 1):
    return
  if parser.values.output is None:
    raise ValueError('decompress needs --output=MODEL.')
  source, output = parser.others[0], parser.values.output
  packing.decompress_file(pathlib.Path(source), pathlib.Path(output))
  print(f'{output}: {packing.bytes_of(pathlib.Path(output)):,} bytes')


def compare(words: Sequence[str]) -> None:
  """`jcompress compare`: two checkpoints, array by array."""
  parser = arguments.Parser(COMPARE)
  if not parser.parse(words, 2):
    return
  table = packing.compare_files(*map(pathlib.Path, parser.others))
  runs.console().print(table)

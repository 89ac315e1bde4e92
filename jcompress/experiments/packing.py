"""Finished checkpoints: to a small file, back, and how far the two differ."""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from rich import box
from rich.table import Table

import jcompress as jc
from jcompress import reports, tree
from jcompress.code.atomic import replace_file
from jcompress.experiments import checkpoints
from jcompress.planning.plan import Plan
from jcompress.planning.planner import Progress

_UNITS = {'': 1, 'k': 1e3, 'm': 1e6, 'g': 1e9, 'ki': 2**10, 'mi': 2**20}


def compress_file(
  source: pathlib.Path,
  output: pathlib.Path,
  plan: pathlib.Path | None = None,
  *,
  progress: Progress | None = None,
  **budget: Any,
) -> tuple[reports.Report, Plan]:
  """Compresses a checkpoint without data.

  Args:
    source: see `checkpoints.read`.
    output: the file to write.
    plan: of a plan: followed if it is there, else the one that is made is
      written to it.
    progress: of `jc.plan`.
    **budget: of `jc.plan`. The layout is that of torch for safetensors, unless
      their metadata name another framework.

  Returns:
    The report of the file, and the plan.

  Raises:
    ValueError: no budget and no plan, or both; the output is the source; what
      `read` and `plan` refuse.
    OSError: a file cannot be read or written; none is left in part.
  """
  _require_another(source, output)
  checkpoint = checkpoints.read(source)
  given = {k: v for k, v in budget.items() if v is not None}
  if plan is not None and plan.exists():
    if given:
      raise ValueError(
        f'{plan} is there and says what to do: leave out --'
        f'{", --".join(given)}, or name a new file.'
      )
    made = Plan.from_json(plan.read_text())
  else:
    given.setdefault('layout', _layout(checkpoint))
    made = jc.plan(checkpoint.params, progress=progress, **given)
  encoded = made.apply(checkpoint.params)
  metadata = {'checkpoint': checkpoint.about, 'error': made.error}
  jc.save(output, encoded, metadata=metadata)
  if plan is not None and not plan.exists():
    replace_file(plan, lambda path: path.write_text(made.to_json()))
  return jc.report(output), made


def decompress_file(source: pathlib.Path, output: pathlib.Path) -> None:
  """Writes the arrays of a file as a checkpoint, by the name of the output.

  Raises:
    ValueError: the output is the source; what `jc.load` and
      `checkpoints.write` refuse.
  """
  _require_another(source, output)
  artifact = jc.load(source)
  about = artifact.metadata.get('checkpoint', {})
  checkpoints.write(output, jc.decode(artifact.tree), about)


def _require_another(source, output):
  if source.exists() and output.exists() and source.samefile(output):
    raise ValueError(
      f'{output} would be written over {source}; name another output.'
    )


def compare_files(first: pathlib.Path, second: pathlib.Path) -> Table:
  """How far the arrays of the second file are from those of the first.

  Args:
    first: a checkpoint, or a file of `jc.save`.
    second: another of the same arrays.

  Raises:
    ValueError: arrays that only one of them has, or of other shapes.
  """
  left, right = (_arrays(path) for path in (first, second))
  only = sorted(left.keys() ^ right.keys())
  if only:
    raise ValueError(f'Only one of the files has {", ".join(only)}.')
  table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
  for title in ('array', 'shape', 'relative error', 'largest change'):
    numeric = title in ('relative error', 'largest change')
    table.add_column(title, justify='right' if numeric else 'left')
  totals = np.zeros(2)
  for name, a in left.items():
    b = right[name]
    if a.shape != b.shape:
      raise ValueError(f'{name} is {list(a.shape)} and {list(b.shape)}.')
    a, b = (x.astype(np.float64) for x in (a, b))
    squares = np.array([((b - a) ** 2).sum(), (a**2).sum()])
    totals += squares
    most = np.abs(b - a).max(initial=0)
    shape = 'x'.join(map(str, a.shape))
    table.add_row(name, shape, f'{_root(squares):.3g}', f'{most:.3g}')
  table.add_section()
  sizes = [bytes_of(path) for path in (first, second)]
  table.add_row(
    'total',
    f'{sizes[0]:,} -> {sizes[1]:,} bytes',
    f'{_root(totals):.3g}',
    '',
    style='bold',
  )
  return table


def size_of(text: str) -> int:
  """Bytes of a size such as `10MB`, `8.5M`, `300k` or `7000000`.

  >>> size_of('8.5MB'), size_of('1 MiB'), size_of('300k')
  (8500000, 1048576, 300000)

  Raises:
    ValueError: it is no such size.
  """
  found = re.fullmatch(r'([\d_.,]+)\s*([kmg]i?)?b?', text.strip().lower())
  if not found or (found[2] or '') not in _UNITS:
    raise ValueError(f'{text!r} is not a size; give bytes, or such as 8.5MB.')
  number = float(found[1].replace('_', '').replace(',', ''))
  return int(number * _UNITS[found[2] or ''])


def bytes_of(path: pathlib.Path) -> int:
  """Bytes of a file, of all files of a folder, of all shards of an index."""
  if path.is_dir():
    return sum(f.stat().st_size for f in path.rglob('*') if f.is_file())
  if path.name.endswith(checkpoints.INDEX):
    shards = set(json.loads(path.read_text())['weight_map'].values())
    return sum((path.parent / name).stat().st_size for name in shards)
  return path.stat().st_size


def _layout(checkpoint):
  metadata = checkpoint.about.get('metadata') or {}
  is_jax = metadata.get('format', 'pt') in ('flax', 'jax', 'np', 'tf')
  is_safe = checkpoint.about['format'].startswith('safetensors')
  return 'torch' if is_safe and not is_jax else 'jax'


def _arrays(path):
  if path.suffix == '.jcz':
    found = jc.decode(jc.load(path).tree)
  else:
    found = checkpoints.read(path).params
  return tree.by_name(jax.tree.map(tree.to_host, found))


def _root(squares: Sequence[float] | np.ndarray) -> float:
  """The relative error of a sum of squares."""
  change, energy = squares
  return float((change / energy) ** 0.5) if energy else float(change > 0)

"""The log of a run: one JSON object a line, none twice after a resume."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax


class Metrics:
  """Writes `metrics.jsonl` of a run, one stage at a time."""

  def __init__(self, workdir: pathlib.Path, stage: str, start: int):
    """Opens the file for a stage and drops what it had after `start`."""
    self.path, self.stage = workdir / 'metrics.jsonl', stage
    kept = [
      r
      for r in read_metrics(self.path)
      if r['stage'] != stage or r['step'] <= start
    ]
    self.result = next(
      (r for r in kept if r['stage'] == stage and 'test' in r), None
    )
    self.is_writer = jax.process_index() == 0
    if self.is_writer:
      write_whole(self.path, ''.join(json.dumps(r) + '\n' for r in kept))
      self.file = self.path.open('a')

  def write(self, **values: Any) -> None:
    if self.is_writer:
      self.file.write(json.dumps({'stage': self.stage, **values}) + '\n')

  def flush(self) -> None:
    if self.is_writer:
      self.file.flush()

  def __enter__(self) -> 'Metrics':
    return self

  def __exit__(self, *error: Any) -> None:
    if self.is_writer:
      self.file.close()


def write_whole(path: pathlib.Path, text: str) -> None:
  """Writes a text file, whole or not at all."""
  whole = path.with_suffix('.tmp')
  whole.write_text(text)
  whole.replace(path)


def read_metrics(path: pathlib.Path) -> Iterator[dict[str, Any]]:
  """Reads `metrics.jsonl`; a last line cut off in the middle is left out."""
  lines = path.read_text().splitlines() if path.exists() else []
  for i, line in enumerate(lines):
    try:
      yield json.loads(line)
    except json.JSONDecodeError as error:
      if i + 1 < len(lines):
        raise ValueError(
          f'{path} is damaged in line {i + 1}: {line[:60]!r}. Move it away to '
          'start a new one.'
        ) from error

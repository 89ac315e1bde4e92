"""The numbers of a run on disk: a folder holds the run of one config."""

import json
import pathlib
from typing import Any

import jax

from jcompress.experiments.metrics import write_whole

FREE = 'data_dir', 'log_every', 'checkpoint_every'  # may change in a run


def require_same_config(config: Any, name: str, path: pathlib.Path) -> None:
  """Notes the config of a new run; refuses to go on with one of another.

  Args:
    config: the numbers.
    name: of the recipe.
    path: of `config.json`.

  Raises:
    ValueError: the run there has other numbers, or is of another recipe.
  """
  numbers = {'recipe': name} | json.loads(config.to_json())
  if not path.exists():
    if jax.process_index() == 0:
      write_whole(path, json.dumps(numbers, indent=2) + '\n')
    return
  before = json.loads(path.read_text())
  changed = [
    f'{key}: {before.get(key)} -> {numbers.get(key)}'
    for key in sorted(before | numbers)
    if key not in FREE and before.get(key) != numbers.get(key)
  ]
  if changed:
    raise ValueError(
      f'{path.parent} holds a run of another config ({"; ".join(changed)}). '
      'Give a new --workdir, or delete that one.'
    )

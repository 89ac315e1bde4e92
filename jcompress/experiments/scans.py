"""Writes the sensitivity of a model's layers into files and on the screen."""

import json
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.experiments import pages, plots, runs
from jcompress.experiments.networks import Variables
from jcompress.experiments.sources import WHOLE
from jcompress.experiments.task import Task
from jcompress.prune.allocation import allocate
from jcompress.prune.sensitivity import Scan, sensitivity


def scan_task(
  task: Task,
  variables: Variables,
  sparsities: Sequence[float],
  examples: int = 10_000,
) -> Scan:
  """Scans the kernels of a network on training examples.

  Args:
    task: with `loss` among its metrics; the test examples, which judge what is
      pruned, are left alone.
    variables: of the network.
    sparsities: of each kernel in turn.
    examples: how many of the training examples, `>= 1`, at most an epoch; in
      whole batches.

  Returns:
    The loss, and beside it the other metrics.

  Raises:
    ValueError: a number out of range; the task does not measure a loss.
  """
  if examples < 1:
    raise ValueError(f'examples is {examples}; it must be at least 1.')
  steps = min(max(1, examples // task.train.size), task.train.steps)
  batches = [task.train.get(0, i, WHOLE) for i in range(steps)]
  stacked = jax.tree.map(lambda *xs: np.stack(xs), *batches)
  others = {k: v for k, v in variables.items() if k != 'params'}

  def loss_fn(params, batches):
    def measure(batch):
      outputs = task.predict({'params': params, **others}, batch)
      return task.metrics(outputs, batch)

    sums = jax.lax.map(measure, batches)
    means = {
      name: total.sum() / jnp.sum(count)
      for name, (total, count) in sums.items()
    }
    if 'loss' not in means:
      raise ValueError(
        f'The task measures {", ".join(means)}; a scan needs its loss.'
      )
    return means.pop('loss'), means

  return sensitivity(loss_fn, variables['params'], sparsities, stacked)


def write_scan(
  scan: Scan, workdir: pathlib.Path, sparsity: float | None = None
) -> None:
  """Prints the table; writes `sensitivity.json` and `sensitivity.png`.

  Args:
    scan: of `scan_task`.
    workdir: where to.
    sparsity: of the whole network, to share out over the layers, too.

  Raises:
    ValueError: the scan does not reach the sparsity.
  """
  shares = None if sparsity is None else allocate(scan, sparsity)
  workdir.mkdir(parents=True, exist_ok=True)
  contents = scan.to_dict() | {'sparsity': sparsity, 'allocation': shares}
  (workdir / 'sensitivity.json').write_text(json.dumps(contents, indent=2))
  out = runs.console()
  out.print(scan.table())
  for path, share in (shares or {}).items():
    out.print(f'{path}: prune {100 * share:.2f} %')
  try:
    figure = plots.plot_sensitivity(scan)
  except ValueError as error:
    print(f'No figure: {error}')
  else:
    (workdir / 'sensitivity.png').write_bytes(pages.png(figure))

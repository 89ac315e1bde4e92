"""What a network does on the test examples of its task."""

import functools
from collections import OrderedDict, defaultdict
from typing import Any

import jax

from jcompress import encoded
from jcompress.experiments.networks import Variables
from jcompress.experiments.sources import WHOLE, Source
from jcompress.experiments.task import Task


def evaluate(
  task: Task,
  variables: Variables,
  source: Source | None = None,
  steps: int | None = None,
) -> dict[str, float]:
  """The means of the metrics of a task.

  Args:
    task: whose `predict` and `metrics` are used.
    variables: decoded from what is shipped, if the numbers are to be reported.
    source: of examples; those of the test if not given.
    steps: how many of its batches; all of an epoch if not given.
  """
  source = task.test if source is None else source
  measure = _measure(task.predict, task.metrics)
  sums: dict[str, Any] = defaultdict(lambda: (0.0, 0.0))
  for step in range(source.steps if steps is None else steps):
    found = measure(variables, source.get(0, step, WHOLE))
    for name, (total, count) in jax.device_get(found).items():
      before = sums[name]
      sums[name] = before[0] + float(total), before[1] + float(count)
  return {name: total / count for name, (total, count) in sums.items()}


def bits_of(shipped: Any, variables: Variables) -> dict[str, float]:
  """The bits of a weight at the entropy of what is shipped, as a metric.

  Args:
    shipped: encoded params; none if `None`.
    variables: with the params that they decode to.
  """
  if shipped is None:
    return {}
  count = sum(x.size for x in jax.tree.leaves(variables['params']))
  return {'bits': round(encoded.bits(shipped) / max(1, count), 4)}


@functools.lru_cache(8)
def _measure(predict, metrics):
  # Out of jit a plain dict comes sorted by name.
  ordered = lambda v, batch: OrderedDict(metrics(predict(v, batch), batch))
  return jax.jit(ordered)

"""What is learned, from which examples, and by which measure."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.errors import FlaxError

from jcompress import models
from jcompress.experiments import sources
from jcompress.experiments.networks import Variables
from jcompress.experiments.sources import Source

Metrics = dict[str, Any]


class Task(NamedTuple):
  """What is learned: pure functions, and where examples come from.

  Attributes:
    init: `key -> variables`, `{'params': ..., other collections}`.
    apply: `(variables, batch, key) -> (outputs, new collections)`, in training.
    predict: `(variables, batch) -> outputs`, in evaluation.
    loss: `(outputs, batch) -> (loss, metrics)`, of training.
    metrics: `(outputs, batch) -> {name: (sum, count)}`: of evaluation. The
      first is what results are compared by; less is better.
    train: batches to train on.
    test: batches to evaluate on, `test.steps` of them.
    model: name and options of a bundled model.
    about: what a file says beside: the kind of task, its data and inputs.
    removed: the channels that were removed since `init`, see `removal`.
    factored: the factorizations since `init`, see `factoring`.
    seen: `(batch, key) -> batch` as `apply` sees it with that key, if it is
      augmented; another network can be given the same.
  """

  init: Callable[[jax.Array], Variables]
  apply: Callable[[Variables, Any, jax.Array], tuple[Any, Variables]]
  predict: Callable[[Variables, Any], Any]
  loss: Callable[[Any, Any], tuple[jax.Array, Metrics]]
  metrics: Callable[[Any, Any], Metrics]
  train: Source
  test: Source
  model: models.Model | None = None
  about: dict[str, Any] = {}
  removed: tuple[dict[str, bytes], ...] = ()
  factored: tuple[dict[str, Any], ...] = ()
  seen: Callable[[Any, jax.Array], Any] | None = None


def checked(task: Task) -> Task:
  """The same task, whose functions fit each other and the data.

  Raises:
    ValueError: the model does not take the examples, or the loss its outputs.
  """
  batch = task.train.get(0, 0, sources.WHOLE)
  key = jax.random.key(0)

  def run(batch):
    variables = task.init(key)
    outputs, _ = task.apply(variables, batch, key)
    task.metrics(task.predict(variables, batch), batch)
    return task.loss(outputs, batch)

  try:
    jax.eval_shape(run, batch)
  except (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    FlaxError,
  ) as error:
    shapes = {k: list(np.shape(x)) for k, x in batch.items()}
    name = task.model.name if task.model else 'of the task'
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise ValueError(
      f'The model {name} and the data {task.about.get("data")} with batches '
      f'of {shapes} do not fit: {reason}'
    ) from error
  return task

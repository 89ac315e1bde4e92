"""Losses for `Train` by which a network follows another one."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jcompress import distill
from jcompress.distill import teach
from jcompress.distill.responses import Responses, outputs_and_features
from jcompress.experiments import logits_file, sources
from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Lesson
from jcompress.experiments.task import Task
from jcompress.experiments.tasks import labels_of, logits_of

Make = Callable[[Task, Variables], Lesson]
LOGITS = 'teacher'  # the name in a batch of logits from a file


def taught(
  temperature: float = 4.0,
  weight: float = 0.9,
  soft: teach.Soft | None = None,
  *,
  pairs: Mapping[str, str] | None = None,
  between: teach.Between = distill.attention,
  strength: float = 0.0,
  cache: str | pathlib.Path | None = None,
) -> Make:
  """The loss of the task and that of following a teacher.

      Train('train', compressor, optimizer, epochs=2, loss=taught(weight=0.9))
      Train(..., loss=taught(), teacher=Begin('', 'other.py:row', 'dense'))

  The teacher is the network that the stage begins with, or that of another
  row; it runs as in evaluation, on the examples as the student sees them.
  `(1 - weight) loss + weight soft + strength between`, as `distill.loss`.

  Args:
    temperature: of `distill.soft_targets`, the default of `soft`.
    weight: of `soft`, in 0 .. 1.
    soft: `(student's logits, teacher's, labels) -> loss`.
    pairs: layers that are compared, the student's kernel path among the params
      to the teacher's.
    between: `(student's response, teacher's) -> loss`, summed over pairs.
    strength: of `between`.
    cache: a folder, for one file of the teacher's logits of all examples in
      place of computing them in each step. They are those of the examples as
      they lie: not with augmentation.

  Raises:
    ValueError: weights that make no sense; pairs with a cache. In the stage: a
      cache with augmentation, or with examples that are made anew.

  References:
    Hinton et al., Distilling the Knowledge in a Neural Network, 2015, arXiv
      1503.02531, section 2.
  """
  teach.require_weights(weight, pairs, strength)
  if cache is not None and pairs:
    raise ValueError('Layers cannot come from a cache, which has logits alone.')
  pairs = dict(pairs or {})

  def make(teacher_task: Task, teacher: Variables) -> Lesson:
    def run(task, given, variables, batch, key):
      outputs, new, own = responses(task, variables, batch, key, pairs)
      if cache is None:
        seen = as_seen(task, batch, key)
        v, hints = followed(teacher_task, given, seen, pairs.values())
      else:
        v, hints = batch[LOGITS], {}
      hard, metrics = task.loss(outputs, batch)
      z, v = logits_of(outputs), logits_of(v)
      if soft is None:
        counted = batch.get('weights') if isinstance(batch, dict) else None
        gentle = distill.soft_targets(z, v, temperature, counted)
      else:
        gentle = soft(z, v, labels_of(batch))
      value = (1 - weight) * hard + weight * gentle
      for path, other in pairs.items():
        value += strength * between(own[path], hints[other])
      return value, metrics, new

    if cache is None:
      return Lesson(run, teacher)

    def source(task):
      return _with_logits(task, teacher_task, teacher, pathlib.Path(cache))

    return Lesson(run, source=source)

  return make


def followed(
  task: Task, variables: Variables, batch: Any, paths: Any
) -> tuple[Any, Responses]:
  """Outputs and responses of a network as in evaluation, without gradient."""
  others = {k: v for k, v in variables.items() if k != 'params'}
  predict = lambda params, batch: task.predict(
    {'params': params, **others}, batch
  )
  params = variables['params']
  found = outputs_and_features(predict, params, batch, paths=paths)
  return jax.lax.stop_gradient(found)


def responses(
  task: Task, variables: Variables, batch: Any, key: jax.Array, paths: Any
) -> tuple[Any, Variables, Responses]:
  """Outputs, new collections and responses of a network in training."""
  others = {k: v for k, v in variables.items() if k != 'params'}
  apply = lambda params, batch: task.apply(
    {'params': params, **others}, batch, key
  )
  params = variables['params']
  out, found = outputs_and_features(apply, params, batch, paths=paths)
  return *out, found


def as_seen(task: Task, batch: Any, key: jax.Array) -> Any:
  """A batch as `task.apply` sees it with this key."""
  return batch if task.seen is None else task.seen(batch, key)


def _with_logits(task, teacher_task, teacher, folder):
  if task.seen is not None:
    raise ValueError(
      'A cache has the logits of examples as they lie, but this task augments '
      'them: leave out cache=.'
    )
  predict = lambda v, batch: logits_of(teacher_task.predict(v, batch))
  make = lambda arrays: logits_file.of(predict, teacher, arrays, folder)
  return sources.beside(task.train, LOGITS, make)

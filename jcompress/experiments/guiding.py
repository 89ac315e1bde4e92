"""Stages by which layers of a network follow those of another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import distill, tree
from jcompress.experiments import teaching
from jcompress.experiments.helping import parted, with_helpers
from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Change, Lesson
from jcompress.experiments.task import Task


def add_regressors(name: str, sizes: Mapping[str, int]) -> Change:
  """A stage that gives layers linear maps to as many channels as a teacher has.

  Args:
    name: of the stage.
    sizes: by kernel path among the params, the channels of the teacher's layer.

  Raises:
    ValueError: in the stage, no such kernel.
  """

  def change(task, variables, key):
    kernels = tree.by_name(variables['params'])
    unknown = [path for path in sizes if path not in kernels]
    if unknown:
      raise ValueError(
        f'No kernel {", ".join(unknown)}; there are {", ".join(kernels)}.'
      )
    keys = jax.random.split(key, len(sizes))
    made = {}
    for (path, size), own in zip(sizes.items(), keys, strict=True):
      inputs = kernels[path].shape[-1]
      matrix = jax.random.normal(own, (inputs, size)) / np.sqrt(inputs)
      made[_name(path)] = {'matrix': matrix, 'shift': jnp.zeros(size)}
    return task, with_helpers(variables, made)

  return Change(name, change)


def each(between: Callable[[Any, Any], Any]) -> Callable[..., Any]:
  """The sum of a loss of two responses over layers, for `guided`."""
  return lambda own, others: sum(
    between(s, t) for s, t in zip(own, others, strict=True)
  )


def guided(
  pairs: Mapping[str, str],
  loss: Callable[[Sequence[Any], Sequence[Any]], Any] | None = None,
) -> teaching.Make:
  """A loss of layers alone, for `Train`: the first of two stages.

  Layers with a regressor, see `add_regressors`, are seen through it.

  Args:
    pairs: kernel paths among the params, the student's to the teacher's.
    loss: `(student's responses, teacher's) -> loss`, in the order of the pairs;
      default the sum of `distill.hint`. `distill.flow` takes two layers.

  References:
    Romero et al., FitNets: Hints for Thin Deep Nets, 2015, arXiv 1412.6550.
  """
  loss = loss or each(distill.hint)

  def make(teacher_task: Task, teacher: Variables) -> Lesson:
    def run(task, given, variables, batch, key):
      variables, regressors = parted(variables)
      outputs, new, own = teaching.responses(task, variables, batch, key, pairs)
      seen = teaching.as_seen(task, batch, key)
      _, hints = teaching.followed(teacher_task, given, seen, pairs.values())
      mapped = tuple(
        _mapped(own[path], regressors.get(_name(path))) for path in pairs
      )
      value = loss(mapped, tuple(hints[path] for path in pairs.values()))
      return value, task.loss(outputs, batch)[1], new

    return Lesson(run, teacher)

  return make


def _name(path):
  """As one part of a path, which checkpoints can store."""
  return path.replace('/', '.')


def _mapped(response, regressor):
  if regressor is None:
    return response
  shift = regressor['shift'].reshape((1,) * (response.ndim - 1) + (-1,))
  return response @ regressor['matrix'] + shift

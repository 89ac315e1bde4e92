"""Stages that are not training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress.experiments import sources
from jcompress.experiments.evaluation import evaluate
from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Change
from jcompress.experiments.task import Task
from jcompress.experiments.turned import KINDS, turned

TICKET = 'ticket'  # the collection that keeps params for later


def change_params(name: str, solve: Callable[[Task, Variables], Any]) -> Change:
  """A stage that gives the network other params: a one-shot solver.

  Args:
    name: of the stage.
    solve: `(task, variables) -> params`.
  """

  def change(task, variables, key):
    del key
    return task, {**variables, 'params': solve(task, variables)}

  return Change(name, change)


def recalibrate(name: str = 'recalibrate', examples: int = 10_000) -> Change:
  """A stage that finds the statistics of batch normalization anew.

  Args:
    name: of the stage.
    examples: of the training set, `>= 1`; whole batches are taken.
  """

  def change(task, variables, key):
    run = lambda v, batch: task.apply(v, batch, key)[1]
    source = task.train
    count = min(max(1, examples // source.size), source.steps)
    batches = (source.get(0, i, sources.WHOLE) for i in range(count))
    return task, jc.recalibrate(run, variables, batches)

  return Change(name, change)


def turned_errors(name: str = 'turned') -> Change:
  """A stage that changes nothing: the errors on images that are turned.

  The results show the error on the test images turned by `quarters`, and by any
  `angles`, as of the sets `'NAME+quarters'` and `'NAME+angles'` of `data.load`.

  Args:
    name: of the stage.
  """

  def change(task, variables, key):
    del key
    whole = sources.first(task.test, task.test.steps * task.test.size)
    found = {}
    for kind in KINDS:
      arrays = whole | {'image': turned(np.asarray(whole['image']), kind)}
      source = sources.in_order(arrays, task.test.size)
      found[kind] = round(evaluate(task, variables, source)['error'], 6)
    return task, variables, found

  return Change(name, change)


def remember(name: str = 'remember') -> Change:
  """A stage that keeps the params as they are for `rewind`."""

  def change(task, variables, key):
    del key
    return task, {**variables, TICKET: variables['params']}

  return Change(name, change)


def rewind(name: str = 'rewind') -> Change:
  """A stage that goes back to what `remember` kept, where weights are left.

  References:
    Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
      2020, arXiv 1912.05671.
  """

  def change(task, variables, key):
    del key
    if TICKET not in variables:
      raise ValueError(
        f'The variables are {", ".join(variables)}: to rewind, let a stage '
        'remember() come before.'
      )
    others = {k: v for k, v in variables.items() if k != TICKET}
    cut = lambda w, start: jnp.where(w == 0, 0, start).astype(start.dtype)
    params = jax.tree.map(cut, variables['params'], variables[TICKET])
    return task, {**others, 'params': params}

  return Change(name, change)


def nonzero(start: Any) -> Any:
  """Masks of the kernels that are not zero as a stage starts."""
  kernels, _ = jc.tree.split(jc.KERNELS, start.params)
  return jax.tree.map(lambda w: w != 0, kernels)


def keep_mask(start: Any) -> jc.Compressor:
  """Trains the weights that are left: the kernels keep their zeros."""
  return jc.select(jc.KERNELS, jc.with_mask(nonzero(start)))

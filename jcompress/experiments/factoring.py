"""Runs factors in the network of a task, and again for its file."""

import re
from collections.abc import Mapping
from typing import Any

import jax

import jcompress as jc
from jcompress import tree
from jcompress.experiments import sources
from jcompress.experiments.networks import Variables
from jcompress.experiments.rank_rules import EXAMPLES, Choose, input_moments
from jcompress.experiments.recipe import Change
from jcompress.experiments.task import Task
from jcompress.factor.factorize import Plan, factored_forms
from jcompress.factor.method import Method


def factorize(
  name: str, plan: Mapping[str, Method] | Choose, *, examples: int = 0
) -> Change:
  """A stage that factors kernels; the task that comes back runs the factors.

  The results show how many are `factored`; in the report of the file the others
  stand by their old names.

  Args:
    name: of the stage.
    plan: the method of each kernel by a pattern of its path among the params,
      as of `jc.factorize`; or `(task, variables) -> plan`, such as `by_rule`
      and `within` give. Where it is empty the network is handed on whole.
    examples: of the training set whose inputs the factors by `svd` answer to,
      layer by layer; 0 for those that are nearest in their weights.

  Raises:
    ValueError: in the stage, as of `jc.factorize`.
  """

  def change(task, variables, key):
    chosen = plan(task, variables) if callable(plan) else plan
    if not chosen:
      return task, variables
    paths = _by_path(chosen, variables)
    batch = sources.first(task.test, EXAMPLES)
    answering = [path for path, method in paths.items() if method.respond]
    moments = input_moments(task, variables, answering, examples)
    _, small = jc.factorize(
      task.predict, variables, paths, batch, key=key, moments=moments
    )
    small_task, _ = again(task, variables, record_of(task, paths))
    return small_task, small, {'factored': len(paths)}

  return Change(name, change)


def record_of(task: Task, plan: Mapping[str, Method]) -> dict[str, Any]:
  """What a file says of a factorization: plain values.

  Args:
    task: before it.
    plan: by paths among the variables.
  """
  records = {path: method.record() for path, method in plan.items()}
  return {'after': len(task.removed), 'plan': records}


def again(
  task: Task, forms: Variables, record: Mapping[str, Any]
) -> tuple[Task, Variables]:
  """Factors the network again, as the record of a file says.

  Args:
    task: of the network as it was.
    forms: its variables, or their shapes and dtypes.
    record: one of `task.factored` of the task that made the file.

  Returns:
    The task of the small network, and the shapes of its variables.

  Raises:
    ValueError: the network has no such layers.
  """
  batch = sources.first(task.test, EXAMPLES)
  key = jax.random.key(0)
  forms = jax.eval_shape(lambda v: v, forms)
  plan: Plan = {re.escape(q): m for q, m in record['plan'].items()}
  small = task._replace(
    predict=jc.factored(task.predict, plan, forms, batch),
    apply=jc.factored(task.apply, plan, forms, batch, key),
    factored=(*task.factored, dict(record)),
  )
  return small, factored_forms(task.predict, plan, forms, batch)


def _by_path(plan, variables):
  """The plan by paths among the variables."""
  params = variables['params']
  parts, _ = tree.split_all(list(plan), params)
  return {
    f'params/{path}': method
    for method, part in zip(plan.values(), parts, strict=True)
    for path in tree.paths(part)
  }

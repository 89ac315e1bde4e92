"""Helpers: params that are trained beside those of a network.

They are taken away after: regressors from its layers to larger ones, or a
second network. A network that takes no params but its own runs without them.
"""

from typing import Any

from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Change

HELPERS = 'helpers'  # the name among the params


def drop_helpers(name: str) -> Change:
  """A stage that takes away what others added.

  Args:
    name: of the stage.
  """

  def change(task, variables, key):
    del key
    return task, parted(variables)[0]

  return Change(name, change)


def with_helpers(variables: Variables, helpers: Any) -> Variables:
  """The variables with these among the params."""
  return {**variables, 'params': {**variables['params'], HELPERS: helpers}}


def parted(variables: Variables) -> tuple[Variables, Any]:
  """The variables of the network by itself, and the helpers."""
  params = dict(variables['params'])
  helpers = params.pop(HELPERS, {})
  return {**variables, 'params': params}, helpers

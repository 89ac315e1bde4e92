"""Removes channels from the network of a task, and again for its file."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

import jcompress as jc
from jcompress.channels.graph import ChannelGraph, Keep
from jcompress.channels.shrink import shrink_function
from jcompress.experiments import sources
from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Change
from jcompress.experiments.task import Task

EXAMPLES = 8  # on which the small network is checked
Choose = Callable[[ChannelGraph, Task, Variables], Keep]


def remove(name: str, choose: Choose) -> Change:
  """A stage that removes channels; the task that comes back runs what is left.

  Args:
    name: of the stage.
    choose: `(graph, task, variables) -> units to keep`, as of
      `ChannelGraph.plan`; or these and variables that take the place of those
      given, for methods that change the weights that stay. Where no group
      loses units, an empty dict, the network is handed on whole.
  """

  def change(task, variables, key):
    del key
    graph = channel_graph(task, variables)
    keep = choose(graph, task, variables)
    if isinstance(keep, tuple):
      keep, variables = keep
    if not keep:
      return task, variables
    batch = sources.first(task.test, EXAMPLES)
    small, _ = jc.shrink(task.predict, variables, keep, batch)
    return _smaller(task, variables, graph, keep)[0], small

  return Change(name, change)


def remove_filters(
  name: str,
  sparsity: float | Mapping[str, float],
  criterion: str = 'l1',
  **options: Any,
) -> Change:
  """A stage that removes the filters with the smallest scores.

  Args:
    name: of the stage.
    sparsity: as of `keep_filters`; with patterns of groups, only those groups
      are scored.
    criterion: of `filter_norms`, one that needs no gradients.
    **options: of `keep_filters`.
  """
  patterns = '|'.join(sparsity) if isinstance(sparsity, Mapping) else None

  def choose(graph, task, variables):
    del task
    scores = jc.filter_norms(graph, variables, criterion, groups=patterns)
    return jc.keep_filters(graph, scores, sparsity, **options)

  return remove(name, choose)


def remove_zeros(name: str) -> Change:
  """A stage that removes the units whose weights are all zero.

  Of a group without others it keeps one.

  Args:
    name: of the stage.
  """

  def choose(graph, task, variables):
    del task
    keep = {}
    for group, norms in jc.filter_norms(graph, variables, 'l2').items():
      alive = np.flatnonzero(norms > 0)
      kept = alive if len(alive) else np.array([np.argmax(norms)])
      if len(kept) < len(norms):
        keep[group] = kept
    return keep

  return remove(name, choose)


def channel_graph(task: Task, variables: Any) -> ChannelGraph:
  """The channel groups of what a task predicts."""
  batch = sources.first(task.test, EXAMPLES)
  return jc.channel_groups(task.predict, variables, batch)


def without(
  task: Task, forms: Variables, removed: Mapping[str, bytes]
) -> tuple[Task, Variables]:
  """Removes channels again, as the record of a file says.

  Args:
    task: of the network as it was.
    forms: its variables, or their shapes and dtypes.
    removed: one of `task.removed` of the task that made the file.

  Returns:
    The task of the small network, and the shapes of its variables.

  Raises:
    ValueError: the network has no such channels.
  """
  graph = channel_graph(task, forms)
  unknown = [name for name in removed if name not in graph.groups]
  if unknown:
    raise ValueError(
      f'The file has lost channels of {", ".join(unknown)}, which the model '
      f'does not have; it has {", ".join(graph.groups)}.'
    )
  keep = {
    name: np.unpackbits(
      np.frombuffer(bits, np.uint8), count=graph.groups[name].size
    ).astype(bool)
    for name, bits in removed.items()
  }
  return _smaller(task, forms, graph, keep)


def _smaller(task, variables, graph, keep):
  """The functions of the small network, and the shapes of its variables."""
  key = jax.random.key(0)
  batch = sources.first(task.test, EXAMPLES)
  forms = jax.eval_shape(lambda v: v, variables)
  plan, predict = shrink_function(task.predict, forms, keep, batch)
  _, new = jax.eval_shape(task.apply, forms, batch, key)
  options = {'free_outputs': '1/.*'} if jax.tree.leaves(new) else {}
  _, apply = shrink_function(task.apply, forms, keep, batch, key, **options)
  small = task._replace(
    predict=predict,
    apply=apply,
    removed=(*task.removed, _packed(graph, keep)),
  )
  cut = lambda v: jc.remove_channels(v, plan)
  return small, jax.eval_shape(cut, forms)


def _packed(graph, keep):
  """Which units are kept, one bit each."""
  bits = {}
  for name, units in keep.items():
    kept = np.zeros(graph.groups[name].size, bool)
    kept[np.asarray(units)] = True
    bits[name] = np.packbits(kept).tobytes()
  return bits

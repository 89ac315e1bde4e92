"""Two networks of one kind that are trained together, of which one is kept."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jcompress import distill
from jcompress.experiments.helping import HELPERS, parted, with_helpers
from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Change, Lesson
from jcompress.experiments.task import Task
from jcompress.experiments.tasks import labels_of, logits_of
from jcompress.experiments.teaching import Make


def add_peer(name: str, same: bool = False) -> Change:
  """A stage that sets a second network of the same kind beside the first.

  Args:
    name: of the stage.
    same: it has the numbers of the first, not new ones.

  Raises:
    ValueError: in the stage, the network has collections beside its params.
  """

  def change(task, variables, key):
    others = [collection for collection in variables if collection != 'params']
    if others:
      raise ValueError(
        f'The network has {", ".join(others)} beside its params, which a '
        'second one cannot share.'
      )
    peer = variables['params'] if same else task.init(key)['params']
    return task, with_helpers(variables, peer)

  return Change(name, change)


def mutual() -> Make:
  """A loss of two networks that teach each other, see `add_peer`.

  References:
    Zhang et al., Deep Mutual Learning, 2018, arXiv 1706.00384.
  """

  def make(task: Task, variables: Variables) -> Lesson:
    del task, variables

    def run(task, given, variables, batch, key):
      own, peer = parted(variables)
      outputs, new = task.apply(own, batch, key)
      other, _ = task.apply({'params': peer}, batch, key)
      both = jnp.stack([logits_of(outputs), logits_of(other)])
      value = distill.mutual(both, labels_of(batch)).sum()
      return value, task.loss(outputs, batch)[1], new

    return Lesson(run)

  return make


def taught_by_peer(
  temperature: float = 4.0, weight: float = 0.9, learns: bool = False
) -> Make:
  """A loss of a network that follows a second one, see `add_peer`.

  The second one is an average of the first, see `averaging`; or it learns from
  the labels itself, and where its optimizer is `distill.sgld` the first learns
  what networks of the posterior predict in the mean.

  Args:
    temperature: of `distill.soft_targets`.
    weight: of these, in 0 .. 1; the rest is that of the labels.
    learns: the loss of the second one on the labels is added.

  References:
    Korattikara et al., Bayesian Dark Knowledge, 2015, arXiv 1506.04416.
    Tarvainen & Valpola, Mean teachers are better role models, 2017, arXiv
      1703.01780.
  """

  def make(task: Task, variables: Variables) -> Lesson:
    del task, variables

    def run(task, given, variables, batch, key):
      own, peer = parted(variables)
      outputs, new = task.apply(own, batch, key)
      other, _ = task.apply({'params': peer}, batch, key)
      hard, metrics = task.loss(outputs, batch)
      z, v = logits_of(outputs), logits_of(other)
      soft = distill.soft_targets(z, v, temperature)
      value = (1 - weight) * hard + weight * soft
      return value + learns * task.loss(other, batch)[0], metrics, new

    return Lesson(run)

  return make


def averaging(
  tx: optax.GradientTransformation, decay: float = 0.999
) -> optax.GradientTransformation:
  """An optimizer of a network, whose peer is the running mean of its params.

  Args:
    tx: of the network.
    decay: how much of the mean stays, in 0 .. 1.
  """
  init = lambda params: tx.init(_own(params))

  def update(grads, state, params):
    updates, state = tx.update(_own(grads), state, _own(params))
    moved = optax.apply_updates(_own(params), updates)
    peer = jax.tree.map(
      lambda mean, w: (1 - decay) * (w - mean), params[HELPERS], moved
    )
    return {**updates, HELPERS: peer}, state

  return optax.GradientTransformation(init, update)


def of_each(own: Any, peer: Any) -> optax.GradientTransformation:
  """An optimizer of a network and another one of its peer."""
  labels = lambda params: {
    name: 'peer' if name == HELPERS else 'own' for name in params
  }
  return optax.partition({'own': own, 'peer': peer}, labels)


def _own(params):
  return {name: x for name, x in params.items() if name != HELPERS}

r"""An own task: a Flax nnx model with batch norm, own data, an own loss.

    jcompress train --config configs/own_task.py --workdir runs/own_task
    jcompress evaluate runs/own_task/model.jcz --config configs/own_task.py

Two moons in the plane, told apart by two hidden layers, which are trained with
weights of one bit. The model does not come with the package, so that its file
is evaluated with this config.
"""

import numpy as np
import optax
from flax import nnx

import jcompress as jc
from jcompress.experiments import networks, recipe, sources
from jcompress.experiments.recipe import Train, half_cosine
from jcompress.experiments.task import Task


class Net(nnx.Module):
  """Two hidden layers, normalized; one output."""

  def __init__(self, units, rngs):
    self.first = nnx.Linear(2, units, rngs=rngs)
    self.norm = nnx.BatchNorm(units, rngs=rngs)
    self.second = nnx.Linear(units, units, rngs=rngs)
    self.last = nnx.Linear(units, 1, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.norm(self.first(x)))
    return self.last(nnx.relu(self.second(x)))[:, 0]


def moons(count, seed):
  """Points of two half circles, and which of them each belongs to."""
  rng = np.random.default_rng(seed)
  side, angle = rng.integers(0, 2, count), np.pi * rng.random(count)
  x = np.stack([np.cos(angle) + side, np.sin(angle)], 1)
  x[side == 1, 1] = 0.5 - x[side == 1, 1]
  x += rng.normal(0, 0.1, x.shape)
  return {'x': x.astype(np.float32), 'y': side.astype(np.float32)}


def get_config():
  """The numbers."""
  return recipe.defaults(data='moons', units=32, epochs=20.0)


def get_task(config):
  """Which of two moons a point belongs to."""
  network = networks.nnx_network(
    lambda rngs: Net(config.units, rngs), lambda batch: (batch['x'],)
  )
  train = sources.shuffled(moons(2000, 0), config.batch_size)
  test = sources.in_order(moons(1000, 1), 1000)

  cross = lambda y, b: optax.sigmoid_binary_cross_entropy(y, b['y'])
  loss = lambda y, b: (cross(y, b).mean(), {})

  def metrics(y, b):
    wrong = (y > 0) != b['y']
    sums = {'error': 100 * wrong.sum(), 'loss': cross(y, b).sum()}
    return {name: (total, len(y)) for name, total in sums.items()}

  return Task(
    lambda key: network.init(key, None),
    network.apply,
    network.predict,
    loss,
    metrics,
    train,
    test,
    about={'data': config.data},
  )


def get_stages(config, task):
  """Signs times one scale a layer, in the hidden layers."""
  signs = jc.select('(first|second)/kernel', jc.binary_weight('layer'))
  adam = half_cosine(optax.adam, 1e-2)
  return [Train('signs', signs, adam, config.epochs)]

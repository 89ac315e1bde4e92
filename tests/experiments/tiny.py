"""A tiny labelled set, a tiny network and recipes of both."""

import flax.linen as nn
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import recipe, tasks
from jcompress.experiments.data import Dataset
from jcompress.experiments.recipe import Recipe, Train


def dataset():
  """Images of three classes: which third of the rows is bright."""
  rng = np.random.default_rng(0)
  labels = np.arange(96, dtype=np.int32) % 3
  images = rng.integers(0, 60, (96, 9, 4, 1), np.uint8)
  for k in range(3):
    images[labels == k, 3 * k : 3 * k + 3] += 120
  return Dataset('tiny', images[:64], labels[:64], images[64:], labels[64:])


class Net(nn.Module):
  """Two layers with a batch norm and dropout between them."""

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.Dense(16, name='fc1')(x.reshape(len(x), -1))
    x = nn.relu(nn.BatchNorm(not train, momentum=0.5, name='norm')(x))
    x = nn.Dropout(0.1, deterministic=not train)(x)
    return nn.Dense(3, name='fc2')(x)


def task(batch_size=16):
  return tasks.image_classification(Net(), dataset(), batch_size)


def config(**numbers):
  return recipe.defaults(
    data='tiny', batch_size=16, log_every=4, checkpoint_every=3, **numbers
  )


def dense(epochs=2):
  return Train('dense', jc.identity(), optax.adam(1e-2), epochs)


def prune(epochs=2, **options):
  """Keeps a fifth of both kernels."""
  comp = jc.select(jc.KERNELS, jc.magnitude_prune(0.8, every=2))
  return Train('prune', comp, optax.adam(1e-2), epochs, **options)


def recipe_of(*stages, make_task=task, path='tiny.py', row=''):
  return Recipe(
    path,
    row,
    lambda *row: config(),
    lambda config: make_task(),
    lambda config, task: list(stages),
  )

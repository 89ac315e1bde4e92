r"""Error against bytes: weights that pay for their bits while they train.

jcompress train --config configs/rate.py:lenet5 --workdir runs/rate
jcompress sweep --config configs/rate.py --config.data=fashion_mnist
  --seeds=0,1,2 --workdir=runs/rate
"""

import optax

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, recipe, tasks
from jcompress.experiments.recipe import Train, half_cosine

ROWS = (
  *('lenet_300_100', 'lenet_300_100_small', 'lenet_300_100_smaller'),
  *('lenet5', 'lenet5_small', 'lenet5_smaller'),
)
STRENGTHS = {'': 3e-7, 'small': 1e-6, 'smaller': 3e-6}


def get_config(row='lenet_300_100'):
  """The numbers of a row."""
  model = 'lenet5' if row.startswith('lenet5') else 'lenet_300_100'
  config = recipe.defaults(row=row, model=model, bits=6, rate=1e-3)
  config.strength = STRENGTHS[row.removeprefix(model).removeprefix('_')]
  config.epochs = dict(dense=5.0, penalized=40.0)
  return config


def get_task(config):
  """Classes of images, by one of the LeNets."""
  dataset = data.of(config)
  model = models.build(config.model, classes=dataset.classes)
  return tasks.image_classification(model, dataset, config.batch_size)


def get_stages(config, task):
  """A little dense training, and then under the penalty."""
  penalized = jc.partition(
    ('.*', jc.entropy_penalized(config.strength, config.bits))
  )
  adam = half_cosine(optax.adam, config.rate)
  return [
    Train('dense', jc.identity(), adam, config.epochs.dense),
    Train('penalized', penalized, adam, config.epochs.penalized),
  ]

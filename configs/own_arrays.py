r"""Own arrays: any rows or images and their labels, from a file of NumPy.

    np.savez('arrays.npz', x_train=x, y_train=y, x_test=xt, y_test=yt)
    jcompress train --config configs/own_arrays.py \
        --config.data=arrays.npz --workdir runs/own

Images are bytes, rows of a table are floats; the labels are integers from zero.
A dense network of two hidden layers is trained, pruned to a tenth of its
kernels, and left with 15 values a layer. What the file needs to be read again,
`jcompress evaluate runs/own/model.jcz`, it says itself.
"""

import functools

import optax

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, recipe, tasks
from jcompress.experiments.recipe import Train, half_cosine


def get_config():
  """The numbers."""
  config = recipe.defaults(data='arrays.npz', batch_size=64)
  config.features = (300, 100)
  config.epochs = dict(dense=20.0, prune=20.0, share=5.0)
  config.density = 0.1
  config.k = 15
  return config


def get_task(config):
  """Classes of the rows or images of the file."""
  dataset = data.of(config)
  model = models.build(
    'lenet_300_100', classes=dataset.classes, features=config.features
  )
  return tasks.image_classification(model, dataset, config.batch_size)


def get_stages(config, task):
  """Dense, pruned, shared."""

  def prune(start):
    sparsity = start.rising_sparsity(1 - config.density)
    return jc.select(jc.KERNELS, jc.magnitude_prune(sparsity, every=10))

  share = jc.select(jc.KERNELS, jc.kmeans_share(k=config.k))
  adam = functools.partial(half_cosine, optax.adam)
  epochs = config.epochs
  return [
    Train('dense', jc.identity(), adam(1e-3), epochs.dense),
    Train('prune', prune, adam(1e-3), epochs.prune),
    Train('share', share, adam(1e-4), epochs.share),
  ]

r"""A residual network with batch norm, and a vision transformer: prune, share.

    jcompress train --config configs/images.py:resnet20 --workdir runs/resnet20
    jcompress train --config configs/images.py:vit --workdir runs/vit

Each is trained, pruned to a fifth of its kernels while it goes on, and left
with 15 values a layer; embeddings, norms and biases stay as they are. With
`--config.data=fashion_mnist --config.examples=10000`, seed 0, on two CPU cores:

                   error dense -> decoded     bytes    ratio
    resnet20        15.10 % -> 18.57 %       60,777    17.7x
    vit, 1,024 of   37.58 % -> 59.54 %       48,584    11.4x

These are short runs: more epochs, and all of the images, are what both need.

References:
  He et al., Deep Residual Learning, 2016, arXiv 1512.03385.
  Dosovitskiy et al., An Image Is Worth 16x16 Words, 2021, arXiv 2010.11929.
  Han et al., Deep Compression, 2016, arXiv 1510.00149.
"""

import functools

import optax

import jcompress as jc
from jcompress.experiments import augment, recipe
from jcompress.experiments.image_task import image_task
from jcompress.experiments.recipe import Train, half_cosine

ROWS = 'resnet20', 'vit'


def get_config(row='resnet20'):
  """The numbers of a row."""
  config = recipe.defaults(row=row, model=row, options={})
  config.rate = 3e-3
  config.epochs = dict(dense=4.0, prune=4.0, share=1.0)
  if row == 'vit':
    config.options = dict(layers=4, width=64, heads=4, hidden=128)
    config.rate = 1e-3
    config.epochs = dict(dense=8.0, prune=8.0, share=2.0)
  config.density = 0.2
  config.k = 15
  return config


def get_task(config):
  """Classes of images, shifted by up to two pixels in training."""
  options = config.options.to_dict()
  shift = augment.shifted(2)
  return image_task(config, config.model, augment=shift, **options)


def get_stages(config, task):
  """Dense, pruned, shared."""

  def prune(start):
    sparsity = start.rising_sparsity(1 - config.density)
    return jc.select(jc.KERNELS, jc.magnitude_prune(sparsity, every=10))

  share = jc.select(jc.KERNELS, jc.kmeans_share(k=config.k))
  adam = functools.partial(half_cosine, optax.adam)
  epochs = config.epochs
  return [
    Train('dense', jc.identity(), adam(config.rate), epochs.dense),
    Train('prune', prune, adam(config.rate / 3), epochs.prune),
    Train('share', share, adam(config.rate / 30), epochs.share),
  ]

r"""Error against bytes: codes that are chosen, or trained, to be cheap.

    jcompress train --config configs/rate.py:lenet5 --workdir runs/rate
    jcompress sweep --config configs/rate.py --config.data=fashion_mnist
      --seeds=0,1,2 --workdir=runs/rate

`lenet...` train under `entropy_penalized`: the loss pays for the bits of every
weight and bias, with the strength of the row, for 50 epochs, LeNet-5 for 60,
`lenet5_small` for 120; `taught` rows follow a dense LeNet-5 beside the labels.
`deep_...` and `soft_...` begin with the networks of `deep_compression.py` and
`sharing.py`, and `rate_distortion` moves their weights to cheaper codes,
weighed by the square root of the mean squared gradients of 2,560 examples;
nothing is trained after it.

On all of Fashion-MNIST, errors and bytes of the decoded file, where the dense
networks have 10.25 and 8.54 % after the epochs of `deep_compression.py`:

                           seed  error  bytes   ratio
    lenet_300_100             0  10.27  7,080  150.6x
    lenet_300_100             1  10.08  7,044  151.4x
    lenet_300_100             2  10.14  7,265  146.8x
    lenet_300_100_small       0  11.35  3,307  322.5x
    lenet_300_100_smaller     0  13.37  1,676  636.3x
    lenet_300_100_smaller     1  13.16  1,654  644.8x
    lenet5                    0   8.92  5,869  293.8x
    lenet5_small              0   9.98  2,573  670.2x
    lenet5_taught             0   8.74  6,348  271.6x
    lenet5_taught_small       0   9.50  2,936  587.3x
    deep_lenet_300_100        0  10.27 15,555   68.6x
    deep_lenet_300_100        1  10.59 15,652   68.1x
    deep_lenet_300_100        2  10.30 15,482   68.9x
    soft_lenet_300_100        0  10.73 12,793   83.4x
    soft_lenet_300_100        1  10.68 13,214   80.7x
    soft_lenet_300_100        2  10.55 13,300   80.2x

So LeNet-300-100 keeps the error of the dense network in 7.1 kB; the file of
`deep_compression.py` has 18.6 kB. LeNet-5 trains at 3e-3:
at 1e-3, for 40 epochs, it was at 9.19 % in 4.1 kB and at 10.49 % in 2.3 kB.
A teacher saves a sixth of the bytes: with a strength of 5.3e-6 `lenet5_taught`
has 8.92 % in 4,930 bytes, as `lenet5` in 5,869. On MNIST Oktay et al. report
8.56 kB at 1.9 % and 2.84 kB at 1.0 %.

What gained nothing: moving the codes of networks that were trained so; on
10,000 images a strength that rises a hundredfold, and code lengths that know
how full a row and a column are: the file knows it as well.

References:
  Oktay et al., Scalable Model Compression by Entropy Penalized
    Reparameterization, 2020, arXiv 1906.06624.
  Wiedemann et al., DeepCABAC, 2020, arXiv 1907.11900.
"""

import jax
import jax.numpy as jnp
import optax

import jcompress as jc
from jcompress.experiments import recipe, sources
from jcompress.experiments.image_task import image_task
from jcompress.experiments.recipe import Begin, Recode, Train, half_cosine
from jcompress.experiments.teaching import taught

STRENGTHS = {  # the loss that a bit is worth
  'lenet_300_100': {'': 1e-6, '_small': 3e-6, '_smaller': 1e-5},
  'lenet5': {'': 2.2e-6, '_small': 5.8e-6},
  'lenet5_taught': {'': 3.8e-6, '_small': 1.07e-5},
}
TEACHER = 'distillation.py:identity', 'train'
BEGUN = {
  'deep_lenet_300_100': ('deep_compression.py:lenet_300_100', 'share', 15),
  'deep_lenet5': ('deep_compression.py:lenet5', 'share', 15),
  'soft_lenet_300_100': ('sharing.py:soft_pruned', 'share', 16),
  'soft_lenet5': ('sharing.py:lenet5_soft_pruned', 'share', 16),
}
TRAINED = {m + end: s for m, of in STRENGTHS.items() for end, s in of.items()}
ROWS = *TRAINED, *BEGUN


def get_config(row='lenet_300_100'):
  """The numbers of a row."""
  model = 'lenet5' if 'lenet5' in row else 'lenet_300_100'
  config = recipe.defaults(row=row, model=model)
  if row in BEGUN:
    config.strength = 3e-4  # of a bit, in squared weights
    config.batches = 20
  else:
    config.bits = 6
    config.strength = TRAINED[row]
    config.rate = 1e-3
    config.epochs = dict(dense=10.0, penalized=50.0)
    if model == 'lenet5':
      config.rate = 3e-3
      penalized = 120.0 if row == 'lenet5_small' else 60.0
      config.epochs = dict(dense=5.0, penalized=penalized)
    if 'taught' in row:
      config.temperature = 2.0
      config.weight = 0.5
  return config


def get_task(config):
  """Classes of images, by one of the LeNets."""
  return image_task(config, config.model)


def get_stages(config, task):
  """Trained under the penalty, or recoded as they are."""
  if config.row in BEGUN:
    row, stage, k = BEGUN[config.row]
    codes = jc.select(jc.KERNELS, jc.kmeans_share(k=k))
    cheaper = lambda task, variables, encoded: jc.rate_distortion(
      encoded, config.strength, importance=importance(config, task, variables)
    )
    return [
      Begin(stage, row, stage),
      Train('codes', codes),
      Recode('cheaper', cheaper),
    ]
  adam = half_cosine(optax.adam, 1e-3)
  penalized = jc.entropy_penalized(config.strength, config.bits)
  falling = half_cosine(optax.adam, config.rate)
  return [
    Train('dense', jc.identity(), adam, config.epochs.dense),
    penalize(config, penalized, falling),
  ]


def penalize(config, compressor, tx):
  """By the labels alone, or by a trained LeNet-5 too."""
  stage = Train('penalized', compressor, tx, config.epochs.penalized)
  if 'taught' not in config.row:
    return stage
  loss = taught(config.temperature, config.weight)
  return stage._replace(loss=loss, teacher=Begin('teacher', *TEACHER))


def importance(config, task, variables):
  """Square roots of mean squared gradients, about 1, and 0.05 at least."""

  def loss(params, batch):
    outputs = task.predict({**variables, 'params': params}, batch)
    return task.loss(outputs, batch)[0]

  batches = [
    task.train.get(config.seed, step, sources.WHOLE)
    for step in range(config.batches)
  ]
  params = variables['params']
  fisher = jc.curvature.fisher_diag(loss, params, batches)
  roots = jax.tree.map(jnp.sqrt, fisher)
  kept = [
    root[weight != 0]
    for root, weight in zip(
      jax.tree.leaves(roots), jax.tree.leaves(params), strict=True
    )
  ]
  mean = jnp.concatenate(kept).mean()
  return jax.tree.map(lambda x: jnp.maximum(x / mean, 0.05), roots)

r"""Layers in place of layers: low-rank factors that run, and are trained on.

    jcompress train --config configs/low_rank.py:lenet5_tucker2 --workdir runs/t
    jcompress sweep --config=configs/low_rank.py --seeds=0 --workdir=runs

The dense network is that of another config, shared below one `--root`. The
stage `factor` shows the error at once; of ResNet-20 `recalibrate` measures
batch statistics anew; `tune` trains the factors on, at a tenth of the rate of
the dense network. Errors in percent on `mnist_5k` with
`--config.share=0.3`, seed 0 (dense: 7.5, 431,080 parameters, 2,293,000
multiply-accumulates):

                      factor   tune  parameters       MACs    bytes
    lenet5_svd          12.8    9.1      54,280    757,000  180,623
    lenet5_separable     9.8    8.4      53,280    744,200  177,342
    lenet5_tucker2       9.9    8.2      52,680    670,600  175,362
    lenet5_canonical    11.8    8.8      50,240    554,760  167,340
    lenet5_evbmf        56.3   52.8      14,020    312,960   46,996
    lenet5_budget        7.9    7.9      47,980  1,909,900  159,392
    lenet5_pipeline            10.8      52,680    670,600   15,871

`svd`, `separable`, `tucker2` and `canonical` factor `conv2` of LeNet-5 in that
way and `fc1` by SVD, of fixed ranks; the first and the last layer stay dense.
`evbmf` takes ranks of `tucker2` by variational Bayes, `budget` ranks of `svd`
that share out a budget of parameters over both. Layers where a rank does not
pay stay dense. `pipeline` goes on from `tucker2`: the factors are pruned, then
shared, in one file (its error is that after `share`). Pruned zeros would be
lost by a factorization, so that it comes first.

References:
  Denton et al., Exploiting Linear Structure Within Convolutional Networks for
    Efficient Evaluation, 2014, arXiv 1404.0736.
  Tai et al., Convolutional Neural Networks with Low-rank Regularization, 2016,
    arXiv 1511.06067.
  Kim et al., Compression of Deep Convolutional Neural Networks for Fast and Low
    Power Mobile Applications, 2016, arXiv 1511.06530.
  Lebedev et al., Speeding-up Convolutional Neural Networks Using Fine-tuned
    CP-Decomposition, 2015, arXiv 1412.6553.
"""

import optax

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, recipe, tasks
from jcompress.experiments.changes import recalibrate
from jcompress.experiments.factoring import by_rule, factorize, within
from jcompress.experiments.recipe import Begin, Train, half_cosine

ROWS = (
  'lenet5_svd',
  'lenet5_separable',
  'lenet5_tucker2',
  'lenet5_canonical',
  'lenet5_evbmf',
  'lenet5_budget',
  'lenet5_pipeline',
  'resnet20_svd',
  'resnet20_separable',
  'resnet20_tucker2',
  'resnet20_evbmf',
)
DENSE = {
  'lenet5': 'deep_compression.py:lenet5',
  'resnet20': 'structure.py:resnet20_dense',
}
BEHIND_THE_FIRST = {
  'lenet5': '(?:conv2|fc1)/kernel',
  'resnet20': r'conv(?:[2-9]|1\d)/kernel',
}


def get_config(row='lenet5_tucker2'):
  """The numbers of a row."""
  config = recipe.defaults(row=row)
  config.model, config.method = row.split('_', 1)
  is_lenet = config.model == 'lenet5'
  config.epochs = dict(tune=4.0 if is_lenet else 1.0, prune=4.0, share=2.0)
  config.learning_rate = 1e-4 if is_lenet else 3e-4
  config.prune_rate = 1e-3
  config.conv_ranks = dict(
    svd=(12,), separable=(16,), tucker2=(10, 16), canonical=(32,)
  )
  config.dense_rank = 32
  config.energy = 0.8
  config.budget = 0.1 if is_lenet else 0.4
  config.sparsity = 0.7
  config.k = 16
  return config


def get_task(config):
  """Classes of images."""
  dataset = data.of(config)
  model = models.build(config.model, classes=dataset.classes)
  return tasks.image_classification(model, dataset, config.batch_size)


def get_stages(config, task):
  """Dense, factored, trained on; or from there pruned and shared."""
  adam = half_cosine(optax.adam, config.learning_rate)
  if config.method == 'pipeline':
    factored = Begin('tune', f'low_rank.py:{config.model}_tucker2', 'tune')
    prune = lambda start: pruned(config, start)
    faster = half_cosine(optax.adam, config.prune_rate)
    shared = jc.select(jc.KERNELS, jc.kmeans_share(k=config.k))
    return [
      factored,
      Train('prune', prune, faster, config.epochs.prune),
      Train('share', shared, adam, config.epochs.share),
    ]
  dense = Begin('dense', DENSE[config.model], 'dense')
  again = [recalibrate()] if config.model == 'resnet20' else []
  tune = Train('tune', jc.identity(), adam, config.epochs.tune)
  return [dense, factorize('factor', plan(config)), *again, tune]


def plan(config):
  """The method of each layer, or how ranks are found."""
  pattern = BEHIND_THE_FIRST[config.model]
  if config.method == 'evbmf':
    return by_rule('evbmf', pattern=pattern)
  if config.method == 'budget':
    return within(config.budget, pattern=pattern)
  if config.model == 'resnet20':
    return by_rule(config.energy, config.method, pattern)
  method = getattr(jc, config.method)(*config.conv_ranks[config.method])
  return {'conv2/kernel': method, 'fc1/kernel': jc.svd(config.dense_rank)}


def pruned(config, start):
  """Prunes the factors in the first half of the stage."""
  ramp = start.rising_sparsity(config.sparsity)
  return jc.select(jc.KERNELS, jc.magnitude_prune(ramp, every=20))

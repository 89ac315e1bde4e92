r"""Channels removed for real: by their norms, or by sparsity trained for it.

    jcompress train --config configs/structure.py:resnet20_l1 --workdir runs/l1
    jcompress sweep --config=configs/structure.py --seeds=0 --workdir=runs

Rows that begin alike share that run below one `--root`. Errors in percent after
the stages `remove`, `recalibrate` (batch statistics measured again on 10,000
images) and the last one, and parameters and multiply-accumulates; on all of
Fashion-MNIST (`--config.data=fashion_mnist`), seed 0:

                       removed  again  trained  parameters        MACs  faster
    resnet20_dense                        7.80     269,434  30,821,248
    resnet20_l1          75.79  43.74     8.39     135,466  15,467,392   1.33x
    resnet20_slimming    79.60  16.61     7.65     136,778  16,737,472   1.07x
    resnet20_lasso        8.85   8.91     8.97     176,490  26,284,090   0.96x
    resnet20_pipeline                     9.57     176,490  26,284,090   0.97x
    lenet5_dense                          8.40     431,080   2,293,000
    lenet5_l1            64.92           10.11      47,645     585,000   1.80x
    lenet5_lasso         12.10            9.37      74,498   1,716,350   1.61x
    lenet5_lasso_conv    15.00            9.58     169,212     489,800   1.44x
    lenet5_pipeline                      10.07      74,498   1,716,350   1.55x
    lenet5_brain_damage                   8.46     431,080   2,293,000

`l1` removes half of the filters of the first layer of each block (Li et al.:
ResNet-56 on CIFAR-10 without 27.6 % of its MACs, 6.96 -> 6.94 %), of LeNet-5
half of the filters and 80 % of the units. `slimming` trains the scales of norms
under a penalty, and removes 40 % of all channels. `lasso` makes filters zero by
a proximal step, `lasso_conv` those of convolutions alone: 7 and 20 of 20 and 50
filters are left (Wen et al.: 5 and 19 on MNIST, 0.9 -> 0.8 %). `brain_damage`
makes 60 % of the positions of the windows of convolutions zero (dense 8.22),
the smallest first, and pressed down before they go. `pipeline` goes
on from `lasso`: 70 % of the weights are pruned, the rest is rounded to 4 bits,
in one file: 53,548 bytes (20x) of ResNet-20, 18,232 (95x) of LeNet-5.

What the width itself costs: 7 and 20 filters trained from scratch for as long
in all (`lenet5_scratch`) come to 9.23 %, as many by l1 norms (`lenet5_l1_conv`,
its dense network 8.22) to 9.61, `lenet5_lasso_conv` to 9.58: on this data
neither finds a better network than training the small one.

*Faster* is the latency of a batch of 8 against the dense network in turns, of
`python tests/benchmarks/latency.py DENSE.jcz OTHERS.jcz`, from the files.

References:
  Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710.
  Liu et al., Learning Efficient Convolutional Networks through Network
    Slimming, 2017, arXiv 1708.06519.
  Wen et al., Learning Structured Sparsity in Deep Neural Networks, 2016, arXiv
    1608.03665.
  Lebedev & Lempitsky, Fast ConvNets Using Group-wise Brain Damage, 2016, arXiv
    1506.02515.
  Zhou, Alvarez & Porikli, Less is more: towards compact CNNs, 2016.
"""

import optax

import jcompress as jc
from jcompress.experiments import recipe
from jcompress.experiments.changes import keep_mask, recalibrate
from jcompress.experiments.image_task import image_task
from jcompress.experiments.recipe import Begin, Train, half_cosine
from jcompress.experiments.removal import (
  channel_graph,
  remove_filters,
  remove_zeros,
)

ROWS = (
  'resnet20_dense',
  'resnet20_l1',
  'resnet20_slimming',
  'resnet20_lasso',
  'resnet20_pipeline',
  'lenet5_dense',
  'lenet5_l1',
  'lenet5_lasso',
  'lenet5_lasso_conv',
  'lenet5_l1_conv',
  'lenet5_scratch',
  'lenet5_pipeline',
  'lenet5_brain_damage',
)
FEATURES = 20, 50, 500  # of LeNet-5: filters and units
FIRST_OF_BLOCKS = r'conv\d*[02468]'


def get_config(row='resnet20_dense'):
  """The numbers of a row."""
  config = recipe.defaults(row=row)
  config.model, config.method = row.split('_', 1)
  if config.model == 'resnet20':
    config.epochs = dict(dense=3.0, sparse=1.0, tune=1.0)
    config.learning_rate = 3e-3
    config.sparsity = dict(l1=0.5, slimming=0.4)
    config.strength = dict(slimming=1e-4, lasso=8e-4)
    config.lasso_rate = 0.05
  else:
    config.epochs = dict(dense=19.0, sparse=5.0, tune=4.0)
    config.learning_rate = 1e-3
    config.filters = (7, 20)
    config.sparsity = dict(conv1=0.5, conv2=0.5, fc1=0.8)
    config.strength = dict(lasso=4e-4, conv1=3e-3, conv2=8e-3, positions=1e-3)
    config.positions = 0.6  # of the windows of all filters, removed
    config.lasso_rate = 0.02
  config.momentum = 0.9
  config.pruned = 0.7
  config.bits = 4
  return config


def get_task(config):
  """Classes of images."""
  options = {}
  if config.method == 'scratch':
    options['features'] = (*config.filters, FEATURES[-1])
  return image_task(config, config.model, **options)


def get_stages(config, task):
  """Dense; sparse, if filters are trained to be; removed; trained on."""
  epochs, is_resnet = config.epochs, config.model == 'resnet20'
  adam = half_cosine(optax.adam, config.learning_rate)
  tune = Train('tune', jc.identity(), adam, epochs.tune)
  again = [recalibrate()] if is_resnet else []
  if config.row in ('resnet20_dense', 'lenet5_scratch'):
    return [Train('dense', jc.identity(), adam, epochs.dense)]
  if is_resnet:
    dense = Begin('dense', 'structure.py:resnet20_dense', 'dense')
  else:
    dense = Begin('dense', 'deep_compression.py:lenet5', 'dense')
  if config.method == 'dense':
    return [dense]
  if config.method in ('l1', 'l1_conv'):
    remove = remove_filters('remove', sparsity_of_groups(config))
    return [dense, remove, *again, tune]
  if config.method == 'slimming':
    scales = jc.select('.*/scale', jc.group_lasso(config.strength.slimming))
    remove = remove_filters(
      'remove', config.sparsity.slimming, 'batch_norm', scope='global', least=2
    )
    sparse = Train('sparse', scales, adam, epochs.sparse)
    return [dense, sparse, remove, *again, tune]
  if config.method == 'pipeline':
    small = Begin('remove', f'structure.py:{config.model}_lasso', 'remove')
    return [
      small,
      Train('compress', lambda s: pruned(config, s), adam, epochs.tune),
    ]
  if config.method == 'brain_damage':
    damage = lambda start: brain_damage(config, start)
    sparse = Train('sparse', damage, adam, epochs.sparse)
    return [dense, sparse, Train('tune', keep_mask, adam, epochs.tune)]
  sparse = Train(
    'sparse',
    lambda s: lasso(config, s),
    lambda s: sgd(config, s),
    epochs.sparse,
  )
  return [dense, sparse, remove_zeros('remove'), *again, tune]


def sparsity_of_groups(config):
  """Of the filters of each group, by pattern of its name."""
  if config.model == 'resnet20':
    return {f'params/{FIRST_OF_BLOCKS}/.*': config.sparsity.l1}
  sparsity = dict(config.sparsity)
  if config.method == 'l1_conv':
    left = zip(('conv1', 'conv2'), config.filters, FEATURES, strict=False)
    sparsity = {name: 1 - n / of for name, n, of in left}
  return {f'params/{name}/.*': s for name, s in sparsity.items()}


def lasso(config, start):
  """A proximal group lasso on all units, or on those of each convolution."""
  graph = channel_graph(start.task, start.variables)
  strength = {'.*': config.strength.lasso}
  if config.method == 'lasso_conv':
    strength = {
      f'params/{n}/.*': config.strength[n] for n in ('conv1', 'conv2')
    }
  rate = optax.cosine_decay_schedule(config.lasso_rate, start.steps)
  return jc.group_lasso(
    list(strength.values()),
    groups=[jc.unit_groups(graph, names=names) for names in strength],
    proximal=True,
    # So far momentum carries a step along a steady gradient.
    learning_rate=lambda step: rate(step) / (1 - config.momentum),
  )


def brain_damage(config, start):
  """Positions of windows go in the first half of the stage."""
  ramp = start.rising_sparsity(config.positions)
  return jc.select(
    'conv.*/kernel',
    jc.gradual_groups(
      ramp,
      strength=config.strength.positions,
      lead=start.steps // 10,
      every=20,
    ),
  )


def sgd(config, start):
  """Adam would step as far for a gradient of any size, and win over a lasso."""
  rate = optax.cosine_decay_schedule(config.lasso_rate, start.steps)
  return optax.sgd(rate, config.momentum)


def pruned(config, start):
  """Prunes weights in the first half of the stage, and rounds the others."""
  ramp = start.rising_sparsity(config.pruned)
  rounded = jc.linear_quantize(config.bits)
  return jc.select(
    jc.KERNELS, jc.chain(jc.magnitude_prune(ramp, every=20), rounded)
  )

r"""What a dense teacher gives back to a compressed network.

    jcompress train --config configs/distillation.py:binary_taught ...
    jcompress sweep --config=configs/distillation.py --seeds=0 --workdir=runs

Each network begins with the dense LeNet-5 of `deep_compression.py` and is
trained for as long with a teacher, by soft targets, as without: rows by twos,
such as `binary` and `binary_taught`. The teacher is the row `identity`, which
shows what as many steps give to the dense network itself. `pruned_95` and
`pruned_98` keep 5 and 2 % of the weights; `tucker2` has the factors of
`low_rank.py`, the stage `factor` its error at once; `shared` puts the mixture
prior of `sharing.py` on the network that is pruned there, and trains the values
on.

On 10,000 images of Fashion-MNIST (`--config.data=fashion_mnist
--config.examples=10000`), seed 0, errors of the decoded file; the dense network
begins at 12.67 and the teacher, which is the row `identity`, ends at 11.77:

                 alone  taught    bytes
    identity     11.77   11.87
    binary       13.26   13.42   57,932
    ternary      12.77   12.50   76,153
    two_bits     12.23   12.61   74,181
    pruned_95    13.85   13.90   85,985
    pruned_98    15.86   15.91   34,677
    tucker2      12.44   12.63  175,656
    shared       15.04   15.27   14,461

The teacher gives nothing back here: no difference is beyond the 0.3 points by
which a test set of this size errs, and with the teacher that they all begin
with, at 12.67, students were 0.3 to 0.9 points worse than alone. A dense parent
of the same size knows no more than the labels do.

References:
  Hinton et al., Distilling the Knowledge in a Neural Network, 2015, arXiv
    1503.02531, section 2.
  Polino et al., Model Compression via Distillation and Quantization, 2018,
    arXiv 1802.05668.
"""

import optax

import jcompress as jc
from jcompress.experiments import recipe
from jcompress.experiments.factoring import factorize
from jcompress.experiments.image_task import image_task
from jcompress.experiments.layer_densities import rising
from jcompress.experiments.recipe import Begin, Train, half_cosine
from jcompress.experiments.teaching import taught

METHODS = (
  'identity',
  'binary',
  'ternary',
  'two_bits',
  'pruned_95',
  'pruned_98',
  'tucker2',
  'shared',
)
ROWS = tuple(f'{m}{end}' for m in METHODS for end in ('', '_taught'))
DENSE = 'deep_compression.py:lenet5', 'dense'
TEACHER = 'distillation.py:identity', 'train'


def get_config(row='identity'):
  """The numbers of a row."""
  config = recipe.defaults(row=row, method=row.removesuffix('_taught'))
  config.has_teacher = row.endswith('_taught')
  config.epochs = dict(train=10.0, soft=5.0, share=5.0)
  config.rate = 1e-3
  config.value_rate = 1e-4
  config.temperature = 4.0
  config.weight = 0.9
  config.density = dict(
    pruned_95=dict(conv1=0.6, conv2=0.12, fc1=0.045, fc2=0.2),
    pruned_98=dict(conv1=0.5, conv2=0.07, fc1=0.015, fc2=0.1),
  )
  config.bits = 2
  config.conv_ranks = (10, 16)
  config.dense_rank = 32
  config.strength = 0.3
  config.zero_proportion = 0.1
  config.mixture_rate = 3e-3
  return config


def get_task(config):
  """Classes of images, by LeNet-5."""
  return image_task(config, 'lenet5')


def get_stages(config, task):
  """From the teacher on, with it or without it."""
  method, epochs = config.method, config.epochs
  if method == 'shared':
    begin = Begin('prune', 'sharing.py:lenet5_soft_pruned', 'prune')
    prior = lambda start: mixture(config, start)
    share = kernels(jc.kmeans_share(bits=4))
    rates = lambda start: of_mixture(config, start)
    return [
      begin,
      train(config, 'soft', prior, epochs.soft, rates),
      train(config, 'share', share, epochs.share, adam(config.value_rate)),
    ]
  compressors = {
    'identity': jc.identity(),
    'binary': kernels(jc.binary_weight()),
    'ternary': kernels(jc.trained_ternary(start=None)),
    'two_bits': kernels(jc.learned_step(config.bits)),
    'pruned_95': lambda start: pruned(config, start),
    'pruned_98': lambda start: pruned(config, start),
    'tucker2': jc.identity(),
  }
  factors = {
    'conv2/kernel': jc.tucker2(*config.conv_ranks),
    'fc1/kernel': jc.svd(config.dense_rank),
  }
  factored = [factorize('factor', factors)] if method == 'tucker2' else []
  return [
    Begin('dense', *DENSE),
    *factored,
    train(
      config, 'train', compressors[method], epochs.train, adam(config.rate)
    ),
  ]


def train(config, name, compressor, epochs, tx):
  """A stage with the teacher or without."""
  if not config.has_teacher:
    return Train(name, compressor, tx, epochs)
  loss = taught(config.temperature, config.weight)
  return Train(
    name, compressor, tx, epochs, loss, teacher=Begin('teacher', *TEACHER)
  )


def kernels(compressor):
  """Of the kernels only; biases are left alone."""
  return jc.select(jc.KERNELS, compressor)


def pruned(config, start):
  """Magnitude pruning that grows over the first half of the stage."""
  prune = lambda s: jc.magnitude_prune(s, every=20)
  return rising(config.density[config.method], start, prune)


def mixture(config, start):
  """The prior of `sharing.py`."""
  train = start.task.train
  return kernels(
    jc.soft_share(
      train.steps * train.size,
      strength=config.strength,
      zero_proportion=config.zero_proportion,
    )
  )


def of_mixture(config, start):
  """Adam, with rates of their own for the parts of the mixture."""
  falling = optax.cosine_decay_schedule(config.rate, start.steps)
  rates = {
    'weights': falling,
    'means': config.value_rate,
    'log_precisions': config.mixture_rate,
    'log_proportions': config.mixture_rate,
  }
  return optax.partition(
    {name: optax.adam(rate) for name, rate in rates.items()},
    jc.soft_share_labels,
  )


def adam(rate):
  return half_cosine(optax.adam, rate)

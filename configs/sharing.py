r"""Weights that share few values, by hashing and under a mixture prior.

    jcompress train --config configs/sharing.py:soft_pruned --workdir runs/soft
    jcompress train --config configs/sharing.py:lenet5_hashed_8 ...

`hashed_8` and `hashed_64` store an eighth and a 64th of the weights and are
trained from scratch; `frequencies_8` hashes the frequencies of convolutions.
`narrow_8` and `narrow_64` are dense networks of no more numbers. `soft` puts
the mixture prior on the dense network of `deep_compression.py`, hardens it, and
trains the values on; `soft_pruned` prunes the network first, to 7 % (LeNet-5:
3 %); in `soft_pruned_long` all three take four times as long, in `soft_long`
the mixture five times. On all of Fashion-MNIST, seed 0
(`--config.data=fashion_mnist`), errors in percent of the decoded file; dense
they are 10.41 and 8.40:

                             at once  trained  weights    bytes   ratio
    hashed_8                            10.86   33,667  112,334    9.5x
    narrow_8                            12.19   32,923  110,537    9.6x
    hashed_64                           13.45    4,570   15,467   68.9x
    narrow_64                           20.52    3,967   13,469   79.2x
    soft                       36.21    14.02    7,149    7,931  134.5x
    soft_long                  12.32    12.03    7,325    8,204  130.0x
    soft_pruned                10.54    10.55   18,711   14,973   71.2x
    lenet5_hashed_8                      9.74   54,369  180,976    9.5x  *
    lenet5_narrow_8                     10.01   52,426  174,411    9.9x
    lenet5_frequencies_8                10.15   54,392  180,911    9.5x
    lenet5_hashed_64                    11.74    7,307   24,612   70.1x  *
    lenet5_narrow_64                    13.34    7,285   24,463   70.5x  *
    lenet5_soft_pruned         10.51     9.61   14,068   14,843  116.2x
    lenet5_soft_pruned_long     9.25     8.72   14,056   14,633  117.8x

Weights are those that are not zero, or buckets, biases included. Rows with a
star were trained on a GPU, the others on two CPU cores. Soft weight-sharing of
the dense LeNet-5 was not run.

*At once* is after the stage `soft`. The ratios of narrow networks are to the
whole LeNet, where `result.json` has their own size for a measure.

`soft_pruned` of seeds 1 and 2: 10.62 at 72.2x and 10.30 at 73.2x. `soft_long`
with a strength that grows a hundredfold (`--config.growth=100`): 12.46 at
152.2x.

On MNIST: Ullrich et al. 1.89 -> 1.94 % at 64x and, LeNet-5, 0.88 -> 0.97 % at
162x. With one layer of 1,000 units, a replication of Chen et al. at 1/64 (the
repository jfainberg/hashed_nets): hashed 3.17 %, dense of that size 5.91 %.

References:
  Chen et al., Compressing Neural Networks with the Hashing Trick, 2015, arXiv
    1504.04788.
  Chen et al., Compressing Convolutional Neural Networks in the Frequency
    Domain, 2016, arXiv 1506.04449.
  Ullrich et al., Soft Weight-Sharing for Neural Network Compression, 2017,
    arXiv 1702.04008.
"""

import jax
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import recipe
from jcompress.experiments.image_task import image_task
from jcompress.experiments.layer_densities import rising
from jcompress.experiments.recipe import Begin, Train, half_cosine

METHODS = (
  'hashed_8',
  'narrow_8',
  'hashed_64',
  'narrow_64',
  'soft',
  'soft_pruned',
)
ROWS = (
  *METHODS,
  *(f'lenet5_{method}' for method in METHODS),
  'soft_long',
  'lenet5_soft_pruned_long',
  'lenet5_frequencies_8',
)


def get_config(row='hashed_8'):
  """The numbers of a row."""
  config = recipe.defaults(row=row, method=row.removeprefix('lenet5_'))
  if row.startswith('lenet5_'):
    config.model = 'lenet5'
    config.epochs = dict(scratch=20.0, prune=10.0, soft=5.0, share=5.0)
    config.density = dict(conv1=0.5, conv2=0.1, fc1=0.025, fc2=0.15)
    narrow = {'narrow_8': (7, 17, 174), 'narrow_64': (3, 6, 63)}
    config.features = narrow.get(config.method, (20, 50, 500))
  else:
    config.model = 'lenet_300_100'
    config.epochs = dict(scratch=60.0, prune=40.0, soft=20.0, share=20.0)
    config.density = dict(fc1=0.065, fc2=0.1, fc3=0.3)
    narrow = {'narrow_8': (41, 14), 'narrow_64': (5, 2)}
    config.features = narrow.get(config.method, (300, 100))
  if config.method == 'soft_pruned_long':
    config.epochs = dict(scratch=20.0, prune=40.0, soft=20.0, share=20.0)
  if config.method == 'soft_long':
    config.epochs.soft = 100.0
  pruned = config.method.startswith('soft_pruned')
  config.strength = 0.3 if pruned else 0.1
  config.growth = 1.0  # of the strength, from first to last step
  config.zero_proportion = 0.1 if pruned else 0.999
  config.rate = 1e-3
  config.decay = dict(narrow=0.01, prune=0.2)
  config.mixture_rate = 3e-3
  config.value_rate = 1e-4
  return config


def get_task(config):
  """Classes of images, by one of the LeNets, whole or narrow."""
  return image_task(config, config.model, features=tuple(config.features))


def get_stages(config, task):
  """From scratch, or: dense, perhaps pruned, drawn together, shared."""
  epochs, rate = config.epochs, config.rate
  kind, _, part = config.method.partition('_')
  if kind in ('hashed', 'frequencies'):
    share = jc.hash_weights if kind == 'hashed' else jc.hash_frequencies
    hashed = kernels(share(1 / int(part)))
    return [Train('train', hashed, adamw(rate, 0.0), epochs.scratch)]
  if config.method.startswith('narrow'):
    tx = adamw(rate, config.decay.narrow)
    return [Train('train', jc.identity(), tx, epochs.scratch)]

  dense = Begin('dense', f'deep_compression.py:{config.model}', 'dense')
  prune = lambda start: pruned(config, start)
  prior = lambda start: mixture(config, start)
  soft = [
    Train('soft', prior, lambda start: of_mixture(config, start), epochs.soft),
    Train('share', shared, adamw(config.value_rate, 0.0), epochs.share),
  ]
  if config.method in ('soft', 'soft_long'):
    return [dense, *soft]
  tx = adamw(rate, config.decay.prune)
  return [dense, Train('prune', prune, tx, epochs.prune), *soft]


def kernels(compressor):
  """Of the kernels only; biases are left alone."""
  return jc.select(jc.KERNELS, compressor)


def pruned(config, start):
  """Magnitude pruning that grows over the first half of the stage."""
  prune = lambda s: jc.magnitude_prune(s, every=20)
  return rising(config.density, start, prune)


def shared(start):
  """One codebook of the values that the mixture has left; codes stay."""
  weights = jax.tree.leaves(jc.tree.split(jc.KERNELS, start.params)[0])
  values = np.unique(np.concatenate([np.ravel(w) for w in weights]))
  k = max(1, np.count_nonzero(values))
  return kernels(jc.hessian_kmeans_share(k=k))


def mixture(config, start):
  """The prior, whose strength may grow over the stage."""
  train = start.task.train
  strength = config.strength
  if config.growth != 1:
    strength = optax.exponential_decay(strength, start.steps, config.growth)
  return kernels(
    jc.soft_share(
      train.steps * train.size,
      strength=strength,
      zero_proportion=config.zero_proportion,
    )
  )


def of_mixture(config, start):
  """Adam, with rates of their own for the parts of the mixture."""
  falling = optax.cosine_decay_schedule(config.rate, start.steps)
  return optax.partition(
    {
      'weights': optax.adam(falling),
      'means': optax.adam(config.value_rate),
      'log_precisions': optax.adam(config.mixture_rate),
      'log_proportions': optax.adam(config.mixture_rate),
    },
    jc.soft_share_labels,
  )


def adamw(rate, decay):
  """AdamW whose rate falls to zero along half a cosine."""
  return half_cosine(optax.adamw, rate, weight_decay=decay)

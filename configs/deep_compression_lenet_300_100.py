r"""Deep Compression of LeNet-300-100: train, prune to 7 %, share 15 values.

    jcompress train --config configs/deep_compression_lenet_300_100.py \
        --workdir runs/first

A quarter of a minute on two CPU cores with the 4,000 + 1,000 MNIST digits that
come with the package. On all of Fashion-MNIST (`--config.data=fashion_mnist`) a
minute a seed; means of seeds 0, 1, 2, measured on the decoded file:

             error dense -> decoded     bytes    ratio
    here     10.16 % -> 10.28 %        19,834    53.8x   Fashion-MNIST
    paper     1.64 % ->  1.58 %        27 KB     40x     MNIST

The paper keeps 8 / 9 / 26 % of the weights of fc1 / fc2 / fc3 in one cut and
retrains; here the sparsity grows while training goes on (Zhu & Gupta), until
6.5 / 10 / 30 % are left, under a strong decoupled weight decay.

References:
  Han et al., Deep Compression, 2016, arXiv 1510.00149, tables 1 and 2.
"""

import ml_collections
import optax

import jcompress as jc


def get_config():
  """The numbers: on the 4,000 digits that come with the package."""
  config = ml_collections.ConfigDict()
  config.model = 'lenet_300_100'
  config.data = 'mnist_5k'
  config.data_dir = ''
  config.seed = 0
  config.batch_size = 128
  config.log_every = 50
  config.checkpoint_every = 1000
  config.stages = ('dense', 'prune', 'share')
  config.dense = dict(epochs=20.0, learning_rate=1e-3, weight_decay=0.01)
  config.prune = dict(epochs=80.0, learning_rate=1e-3, weight_decay=0.2)
  config.prune.density = dict(fc1=0.065, fc2=0.1, fc3=0.3)
  config.prune.every = 20
  config.share = dict(epochs=10.0, learning_rate=1e-4, weight_decay=0.0, k=15)
  return config


def get_compressor(config, stage, steps):
  """What each stage trains through, over its number of steps."""
  if stage == 'dense':
    return jc.identity()
  if stage == 'prune':
    rules = []
    for layer, density in config.prune.density.items():
      sparsity = jc.schedules.cubic_sparsity(
        1 - density, begin=0, end=steps // 2 + 1
      )
      prune = jc.magnitude_prune(sparsity, every=config.prune.every)
      rules.append((f'{layer}/kernel', prune))
    return jc.partition(*rules)
  share = jc.kmeans_share(k=config.share.k)
  return jc.partition((jc.KERNELS, share), ('fc[12]/bias', share))


def get_optimizer(config, stage, steps):
  """AdamW whose rate falls to zero along half a cosine."""
  rate = optax.cosine_decay_schedule(config[stage].learning_rate, steps)
  return optax.adamw(rate, weight_decay=config[stage].weight_decay)

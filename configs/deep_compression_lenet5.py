r"""Deep Compression of Caffe's LeNet-5: train, prune to 5 %, share 15 values.

    jcompress train --config configs/deep_compression_lenet5.py \
        --workdir runs/lenet5

On all of Fashion-MNIST (`--config.data=fashion_mnist`) about eight minutes a
seed on two CPU cores; means of seeds 0, 1, 2, measured on the decoded file:

             error dense -> decoded     bytes    ratio
    here      8.45 % ->  8.47 %        26,128    66.0x   Fashion-MNIST
    paper     0.80 % ->  0.74 %        44 KB     39x     MNIST

The paper keeps 66 / 12 / 8 / 19 % of the weights of conv1 / conv2 / fc1 / fc2;
here they are 60 / 12 / 4.5 / 20 %.

References:
  Han et al., Deep Compression, 2016, arXiv 1510.00149, tables 1 and 3.
"""

import ml_collections
import optax

import jcompress as jc


def get_config():
  """The numbers: on the 4,000 digits that come with the package."""
  config = ml_collections.ConfigDict()
  config.model = 'lenet5'
  config.data = 'mnist_5k'
  config.data_dir = ''
  config.seed = 0
  config.batch_size = 128
  config.log_every = 50
  config.checkpoint_every = 1000
  config.stages = ('dense', 'prune', 'share')
  config.dense = dict(epochs=10.0, learning_rate=1e-3, weight_decay=0.01)
  config.prune = dict(epochs=20.0, learning_rate=1e-3, weight_decay=0.2)
  config.prune.density = dict(conv1=0.6, conv2=0.12, fc1=0.045, fc2=0.2)
  config.prune.every = 20
  config.share = dict(epochs=3.0, learning_rate=1e-4, weight_decay=0.0, k=15)
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
  return jc.partition((jc.KERNELS, share), ('(conv2|fc1)/bias', share))


def get_optimizer(config, stage, steps):
  """AdamW whose rate falls to zero along half a cosine."""
  rate = optax.cosine_decay_schedule(config[stage].learning_rate, steps)
  return optax.adamw(rate, weight_decay=config[stage].weight_decay)

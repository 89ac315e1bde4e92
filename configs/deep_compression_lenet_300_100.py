"""draft"""

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

"""draft"""

import ml_collections
import optax
import jcompress as jc


def get_config():
  config = ml_collections.ConfigDict()
  config.model = 'lenet_300_100'
  config.data = 'mnist_5k'
  config.data_dir = ''
  config.seed = 0
  config.batch_size = 128
  config.log_every = 20
  config.checkpoint_every = 500
  config.stages = ('dense', 'prune', 'share')
  config.dense = dict(epochs=20.0, learning_rate=1e-3, weight_decay=1e-2)
  config.prune = dict(
    epochs=40.0,
    learning_rate=1e-3,
    weight_decay=0.1,
    density=dict(fc1=0.075, fc2=0.1, fc3=0.3),
  )
  config.share = dict(epochs=5.0, learning_rate=1e-4, k=15)
  return config


def get_compressor(config, stage, steps):
  if stage == 'dense':
    return jc.identity()
  if stage == 'prune':
    prune = lambda d: jc.magnitude_prune(
      jc.schedules.cubic_sparsity(1 - d, begin=0, end=max(1, steps // 2)),
      every=20,
    )
    return jc.partition(
      *((f'{n}/kernel', prune(d)) for n, d in config.prune.density.items())
    )
  return jc.partition(
    (jc.KERNELS, jc.kmeans_share(k=config.share.k)),
    ('fc[12]/bias', jc.kmeans_share(k=config.share.k)),
  )


def get_optimizer(config, stage, steps):
  rate = optax.cosine_decay_schedule(config[stage].learning_rate, steps)
  if stage == 'share':
    return optax.adam(rate)
  return optax.adamw(rate, weight_decay=config[stage].weight_decay)

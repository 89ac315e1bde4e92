r"""An LSTM that predicts the next character of a text: prune and share.

    jcompress train --config configs/character_lstm.py --workdir runs/lstm

The text is that of Python's help on its language, or a file of your own with
`--config.data=book.txt`. Error is that of the next character, seed 0, on two
CPU cores:

    error dense -> decoded     bytes    ratio
    47.98 % -> 47.97 %        23,695    22.3x

References:
  Hochreiter and Schmidhuber, Long Short-Term Memory, 1997.
  Han et al., Deep Compression, 2016, arXiv 1510.00149.
"""

import optax

import jcompress as jc
from jcompress import models
from jcompress.experiments import recipe, tasks, text
from jcompress.experiments.recipe import Train, half_cosine


def get_config():
  """The numbers."""
  config = recipe.defaults(data='python_topics', batch_size=32, length=64)
  config.features = 128
  config.epochs = dict(dense=4.0, prune=4.0, share=1.0)
  config.density = 0.2
  config.k = 15
  return config


def get_task(config):
  """The next character, at each of 64 places."""
  found = text.load(config.data)
  model = models.build(
    'character_lstm', vocabulary=len(found.alphabet), features=config.features
  )
  if config.examples:  # rows, each with the character after its last
    limit = config.examples * config.length + 1
    found = found._replace(train=found.train[:limit])
  return tasks.next_token(model, found, config.batch_size, config.length)


def get_stages(config, task):
  """Dense, pruned, shared."""

  def prune(start):
    sparsity = start.rising_sparsity(1 - config.density)
    return jc.select(jc.KERNELS, jc.magnitude_prune(sparsity, every=10))

  share = jc.select(jc.KERNELS, jc.kmeans_share(k=config.k))
  epochs = config.epochs
  return [
    Train('dense', jc.identity(), adam(5e-3), epochs.dense),
    Train('prune', prune, adam(2e-3), epochs.prune),
    Train('share', share, adam(1e-4), epochs.share),
  ]


def adam(rate):
  """Adam with clipped gradients, its rate falling along half a cosine."""
  clipped = lambda rate: optax.chain(
    optax.clip_by_global_norm(1.0), optax.adam(rate)
  )
  return half_cosine(clipped, rate)

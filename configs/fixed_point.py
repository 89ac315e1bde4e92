r"""Training in 16 bits of fixed point, no float copy of anything.

    jcompress train --config configs/fixed_point.py:nearest_8 --workdir runs/8
    jcompress sweep --config configs/fixed_point.py --config.data=fashion_mnist
      --seeds=0 --workdir=runs/fixed_point

Every number but the softmax is in <16 - FL, FL>: weights, biases, layer
outputs, errors, gradients and updates. A network 784-256-256-10, 3 epochs of
Fashion-MNIST, seed 0; error of what is shipped, in percent:

                      float    <2, 14>    <6, 10>     <8, 8>
    float             14.01
    stochastic_FL                14.89      14.34      16.17
    nearest_FL                   15.08      16.13      31.49

Run from this config, `float` came out at 14.07, `stochastic_8` at 15.25,
`nearest_8` at 31.49 %; the others are of an earlier program with the same
numbers. The paper finds the same on MNIST with 784-1000-1000-10
(`--config.hidden=1000`): stochastic rounding trains where rounding to the
nearest with 8 fraction bits fails.

The network is a function of the task, not a bundled model: to measure a file
again, give its config: `jcompress evaluate --config configs/fixed_point.py:ROW
FILE.jcz`.

References:
  Gupta et al., Deep Learning with Limited Numerical Precision, 2015, arXiv
    1502.02551, section 3.1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress import ops
from jcompress.experiments import data, networks, recipe, tasks
from jcompress.experiments.recipe import Train

FRACTIONS = 14, 10, 8
ROWS = (
  'float',
  *(f'stochastic_{bits}' for bits in FRACTIONS),
  *(f'nearest_{bits}' for bits in FRACTIONS),
)


def get_config(row='float'):
  """The numbers of a row: its name is the rounding and the fraction bits."""
  config = recipe.defaults(row=row, batch_size=100)
  config.rounding, _, bits = row.partition('_')
  config.word = 16
  config.fraction_bits = int(bits or 0)
  config.hidden = 256  # 1000 in the paper
  config.learning_rate = 0.1
  config.epochs = 3.0
  return config


def get_task(config):
  """Classes of images, by a network that computes in fixed point."""
  dataset = data.of(config)
  inputs = int(np.prod(dataset.train_inputs.shape[1:]))
  sizes = inputs, config.hidden, config.hidden, dataset.classes

  def apply(variables, batch, key):
    keys = None
    if config.rounding == 'stochastic':
      keys = jax.random.split(key, len(sizes) - 1)
    return forward(config, variables['params'], batch, keys), {}

  network = networks.Network(
    lambda key, batch: {'params': init(key, sizes)},
    apply,
    lambda variables, batch: forward(config, variables['params'], batch),
  )
  return tasks.image_classification(network, dataset, config.batch_size)


def get_stages(config, task):
  """Plain gradient descent; in fixed point, its updates are rounded, too."""
  sgd = optax.sgd(config.learning_rate)
  if config.rounding == 'float':
    return [Train('train', jc.identity(), sgd, config.epochs)]
  form, rounding = word(config), config.rounding
  # Zero is where biases start, not where they stay.
  rounded = jc.fixed_point(*form, rounding=rounding, keep_zeros=False)
  updates = jc.fixed_point_updates(*form, rounding=rounding)
  return [Train('train', rounded, optax.chain(sgd, updates), config.epochs)]


def init(key, sizes):
  """Kernels from a normal distribution, biases zero."""
  pairs = list(zip(sizes, sizes[1:], strict=False))
  keys = jax.random.split(key, len(pairs))
  return [
    {
      'kernel': jax.random.normal(k, (n_in, n_out)) / np.sqrt(n_in),
      'bias': jnp.zeros(n_out),
    }
    for k, (n_in, n_out) in zip(keys, pairs, strict=True)
  ]


def forward(config, params, batch, keys=None):
  """Logits; without keys the outputs of layers are rounded to the nearest."""
  dense = lambda x, w, b: x @ w + b
  x = tasks.pixels(batch['image']).reshape(len(batch['image']), -1)
  is_float, form = config.rounding == 'float', word(config)
  x = x if is_float else ops.fixed_point_round(x, *form)
  for i, layer in enumerate(params):
    key = None if keys is None else keys[i]
    op = dense if is_float else ops.fixed_point_op(dense, *form, key=key)
    x = op(x if i == 0 else jax.nn.relu(x), layer['kernel'], layer['bias'])
  return x


def word(config):
  """Bits of the integer and of the fraction."""
  return config.word - config.fraction_bits, config.fraction_bits

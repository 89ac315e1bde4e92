r"""Pruning of whole hidden units, which leaves a smaller dense network.

    jcompress train --config configs/unit_pruning.py --workdir runs/units
    jcompress train --config configs/unit_pruning.py:lenet5_data_free ...

Each row begins with the dense network of `deep_compression.py`. `biased_decay`
trains it under a decay that spares large groups of weights, then cuts out all
units that are not needed: those without which no more than half a percent of
5,000 training images is answered wrongly in addition. `data_free` merges units
that do nearly the same, as many as its own cut-off says, and looks at no image.
The small network trains on: 40 epochs of LeNet-300-100, 10 of LeNet-5. On all
of Fashion-MNIST (`--config.data=fashion_mnist`), seed 0, errors in percent of
the decoded file, dense 10.41 and 8.40; weights that are not zero, in float32:

                         at once  trained  weights    bytes  ratio
    biased_decay           10.68     9.57  175,755  587,397   1.8x
    data_free              24.84    10.08  100,568  336,488   3.2x
    lenet5_biased_decay     9.19     8.16  245,361  814,760   2.1x
    lenet5_data_free       10.16     8.23  206,433  685,810   2.5x

Srinivas & Babu report up to 85 % fewer parameters of a network for MNIST (6.7x)
without significant loss; Hanson & Pratt count the hidden units of networks for
parity and for spoken digits.

References:
  Hanson & Pratt, Comparing Biases for Minimal Network Construction with
    Back-Propagation, NIPS 1, 1989.
  Srinivas & Babu, Data-free Parameter Pruning for Deep Neural Networks, 2015,
    arXiv 1507.06149.
"""

import jax
import optax

import jcompress as jc
from jcompress.experiments import recipe, sources
from jcompress.experiments.image_task import image_task
from jcompress.experiments.recipe import Begin, Train, half_cosine
from jcompress.experiments.removal import remove

METHODS = 'biased_decay', 'data_free'
ROWS = *METHODS, *(f'lenet5_{method}' for method in METHODS)


def get_config(row='biased_decay'):
  """The numbers of a row."""
  config = recipe.defaults(row=row, method=row.removeprefix('lenet5_'))
  if row.startswith('lenet5_'):
    config.model = 'lenet5'
    config.epochs = 10.0
    config.layer_behind = dict(fc1='fc2')
  else:
    config.model = 'lenet_300_100'
    config.epochs = 40.0
    config.layer_behind = dict(fc1='fc2', fc2='fc3')
  config.bias = 1e-5  # a step
  config.examples_seen = 5000
  config.worse = 0.5  # percent of them
  config.rate = 1e-3
  config.decay = 0.2
  return config


def get_task(config):
  """Classes of images, by one of the LeNets."""
  return image_task(config, config.model)


def get_stages(config, task):
  """The dense network, what removes its units, what trains the others on."""
  dense = Begin('dense', f'deep_compression.py:{config.model}', 'dense')
  tx = adamw(config.rate, config.decay)
  train = Train('train', jc.identity(), tx, config.epochs)
  if config.method == 'data_free':
    merge = lambda graph, task, variables: merged(config, variables)
    return [dense, remove('remove', merge), train]
  layers = '|'.join(config.layer_behind)
  bias = jc.select(
    f'({layers})/kernel', jc.biased_decay(config.bias, decoupled=True)
  )
  cut = lambda graph, task, variables: needed(config, task, variables)
  return [
    dense,
    Train('bias', bias, adamw(config.rate, 0.0), config.epochs),
    remove('remove', cut),
    train,
  ]


def merged(config, variables):
  """Units that are left when those that do nearly the same are one."""
  params, keep = variables['params'], {}
  for layer, behind in config.layer_behind.items():
    params, keep[f'params/{layer}/kernel:1'], _ = jc.data_free_prune(
      params, kernel=f'{layer}/kernel', outgoing=f'{behind}/kernel'
    )
  return fewer(keep), {**variables, 'params': params}


def needed(config, task, variables):
  """Units without which the network would answer too much wrongly."""
  batch = sources.first(task.train, config.examples_seen)

  @jax.jit
  def wrong(params):  # in percent of all, and their number
    outputs = task.predict({**variables, 'params': params}, batch)
    return task.metrics(outputs, batch)['error']

  params, keep = variables['params'], {}
  before, count = wrong(params)
  allowed = before + config.worse * count
  for layer, behind in config.layer_behind.items():
    params, keep[f'params/{layer}/kernel:1'] = jc.remove_units(
      params,
      lambda p: bool(wrong(p)[0] <= allowed),
      kernel=f'{layer}/kernel',
      outgoing=f'{behind}/kernel',
    )
  return fewer(keep), {**variables, 'params': params}


def fewer(keep):
  """Without the layers that keep all of their units."""
  return {group: units for group, units in keep.items() if not units.all()}


def adamw(rate, decay):
  """AdamW whose rate falls to zero along half a cosine."""
  return half_cosine(optax.adamw, rate, weight_decay=decay)

r"""Networks that are sparse from the start, at the densities of `pruning.py`.

    jcompress train --config configs/sparse_training.py:snip --workdir runs/snip
    jcompress sweep --config configs/sparse_training.py
      --config.data=fashion_mnist --seeds=0 --workdir=runs/sparse

7 % of the kernels of LeNet-300-100 and 5 % of those of LeNet-5 are drawn or
chosen before training, which takes 60 and 20 epochs, as long as `rigl` of
`pruning.py`. As there, initial weights are scaled to the inputs that are left
(`--config.scale_start`), but of `grasp`, whose first outputs are large as they
are, and of tickets, which are their first weights. What is left is float32.

`random` draws a mask, of the densities of an Erdos-Renyi graph, and keeps it;
`set` begins alike, and after each epoch the weakest give way to others. `snip`
and `grasp` rank all layers together, by ten examples of each class. `ticket`
keeps the largest weights of a trained network, found in five rounds that each
begin again with its first weights and are as long as the training of the dense
network; `ticket_again` keeps the same ones, and begins with others. On all of
Fashion-MNIST, seed 0 (`--config.data=fashion_mnist`), errors in percent of the
decoded file; dense they are 10.36 and 8.22:

                           at once  trained  weights   bytes  ratio
    random                   88.26    11.60   18,998  75,480  14.1x
    set                               10.64   18,375  74,952  14.2x
    snip                     88.10    11.42   18,883  72,840  14.6x
    grasp                    89.97    11.44   18,868  72,547  14.7x
    ticket                   86.10    10.17   18,856  72,023  14.8x
    ticket_again             90.12    11.39   18,856  73,576  14.5x
    lenet5_random            90.04     9.62   22,880  89,698  19.2x
    lenet5_set                         9.12   22,880  89,949  19.2x
    lenet5_snip              89.02     9.53   22,690  86,987  19.8x
    lenet5_grasp             90.00    11.00   22,731  87,871  19.6x

The lottery ticket is as good as the dense network; with other first weights its
mask is worth no more than a drawn one, and so are masks found before training
(`snip`, `grasp`). One that changes while it trains (`set`) is worth a point.
Seeds 0, 1 and 2: `random` 11.60, 11.46, 11.70; `set` 10.64, 10.49, 10.55;
`snip` 11.42, 11.58, 11.43; `grasp` 11.44, 11.93, 11.91; `ticket` 10.17, 10.44,
10.10; `ticket_again` 11.39, 11.06, 11.28; dense 10.36, 10.21, 10.09.

References:
  Mocanu et al., Scalable training of artificial neural networks with adaptive
    sparse connectivity inspired by network science, 2018, arXiv 1707.04780.
  Lee et al., SNIP: Single-shot Network Pruning based on Connection Sensitivity,
    2019, arXiv 1810.02340.
  Wang et al., Picking Winning Tickets Before Training by Preserving Gradient
    Flow, 2020, arXiv 2002.07376.
  Frankle & Carbin, The Lottery Ticket Hypothesis, 2019, arXiv 1803.03635.
  Evci et al., Gradient Flow in Sparse Neural Networks, 2022, arXiv 2010.03533.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import recipe, sources
from jcompress.experiments.changes import (
  TICKET,
  change_params,
  keep_mask,
  remember,
  rewind,
)
from jcompress.experiments.image_task import image_task
from jcompress.experiments.layer_densities import of_all
from jcompress.experiments.recipe import Begin, Change, Train, half_cosine

METHODS = 'random', 'set', 'snip', 'grasp', 'ticket', 'ticket_again'
ROWS = *METHODS, *(f'lenet5_{method}' for method in METHODS)


def get_config(row='random'):
  """The numbers of a row."""
  config = recipe.defaults(row=row, method=row.removeprefix('lenet5_'))
  if row.startswith('lenet5_'):
    config.model = 'lenet5'
    config.epochs = 20.0
    config.epochs_of_round = 10.0
    config.density = dict(conv1=0.6, conv2=0.12, fc1=0.045, fc2=0.2)
  else:
    config.model = 'lenet_300_100'
    config.epochs = 60.0
    config.epochs_of_round = 20.0
    config.density = dict(fc1=0.065, fc2=0.1, fc3=0.3)
  config.rounds = 5
  config.examples_of_class = 10
  config.temperature = 200.0 if config.method == 'grasp' else 1.0
  config.rate = 3e-3
  config.decay = 0.2
  config.scale_start = config.method in ('random', 'set', 'snip')
  return config


def get_task(config):
  """Classes of images, by one of the LeNets."""
  return image_task(config, config.model)


def get_stages(config, task):
  """What is left at the start, and training."""
  train = lambda compressor=keep_mask: Train(
    'train', compressor, adamw(config), config.epochs
  )
  match config.method:
    case 'random':
      return [change_params('prune', drawn(config)), train()]

    case 'set':
      rewired = lambda start: evolution(config, start)
      return [change_params('prune', drawn(config)), train(rewired)]

    case 'snip':
      return [change_params('prune', ranked(config, jc.snip_mask)), train()]

    case 'grasp':
      return [change_params('prune', ranked(config, jc.grasp_mask)), train()]

    case 'ticket':
      return [*in_rounds(config), train()]

    case 'ticket_again':
      ticket = config.row.removesuffix('_again')
      last = f'rewind_{config.rounds}'
      found = Begin('ticket', f'sparse_training.py:{ticket}', last)
      return [found, Change('again', begin_again), train()]


def drawn(config):
  """As many weights of each layer as an Erdos-Renyi graph would have."""

  def start(task, variables):
    del task
    params = variables['params']
    comp = jc.select(
      jc.KERNELS,
      jc.rigl(
        1 - of_all(config.density, params),
        end=1,
        scale_start=config.scale_start,
        seed=config.seed,
      ),
    )
    return comp.view(*comp.init(params))

  return start


def evolution(config, start):
  """Weights are exchanged after each epoch but the last."""
  comp = jc.sparse_evolution(
    1 - of_all(config.density, start.params),
    every=start.task.train.steps,
    end=max(1, start.steps - start.task.train.steps),
    zeros_grow=True,
    seed=config.seed,
  )
  return jc.select(jc.KERNELS, comp)


def ranked(config, find):
  """The best weights of all layers, by the loss of a few examples."""

  def start(task, variables):
    params = variables['params']

    def loss_of(params, batch):
      outputs = task.predict({'params': params}, batch)
      return task.loss(outputs / config.temperature, batch)[0]

    batch = of_each_class(task, config.examples_of_class)
    masks = find(loss_of, params, batch, 1 - of_all(config.density, params))
    if config.scale_start:
      params = jc.scale_to_fan_in(params, masks)
    chosen, rest = jc.tree.split(jc.KERNELS, params)
    left = jax.tree.map(lambda w, m: jnp.where(m, w, 0), chosen, masks)
    return jc.tree.join(left, rest)

  return start


def of_each_class(task, count):
  """The first training examples of each class."""
  batch = sources.first(task.train, 100 * count)
  label = np.asarray(batch['label'])
  places = [np.flatnonzero(label == k)[:count] for k in np.unique(label)]
  return jax.tree.map(lambda x: x[np.concatenate(places)], batch)


def in_rounds(config):
  """Trains, prunes by a factor and goes back to the start, again and again."""
  stages = []
  for i in range(1, config.rounds + 1):
    stages += [
      remember(f'remember_{i}'),
      Train(f'train_{i}', keep_mask, adamw(config), config.epochs_of_round),
      change_params(f'prune_{i}', lambda task, found: one_round(config, found)),
      rewind(f'rewind_{i}'),
    ]
  return stages


def one_round(config, variables):
  """The largest weights of each layer that were left."""
  params = dict(variables['params'])
  for layer, density in config.density.items():
    kernel = params[layer]['kernel']
    left = jc.ticket_mask(
      kernel, kernel != 0, 1 - density ** (1 / config.rounds)
    )
    params[layer] = {**params[layer], 'kernel': jnp.where(left, kernel, 0)}
  return params


def begin_again(task, variables, key):
  """Other first weights where some are left."""
  others = {**variables, TICKET: task.init(key)['params']}
  return rewind().change(task, others, key)


def adamw(config):
  """AdamW whose rate falls to zero along half a cosine."""
  return half_cosine(optax.adamw, config.rate, weight_decay=config.decay)

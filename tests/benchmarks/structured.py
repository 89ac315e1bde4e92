"""The README's table of structured pruning: LeNet-5 and ResNet-20, shrunk.

    python tests/benchmarks/structured.py --model resnet20 --workdir runs/resnet

Trains the dense network on all of Fashion-MNIST, finds filters to remove by
each method, removes them for real, and trains on. Errors are those of the small
network rebuilt from its widths, and in the last row of the one read from the
file. Latency is that of a batch of 8 on this machine against the dense network,
which takes turns with it, whenever the table is printed. Results go to
`results.jsonl` as they come; what is there is not computed again.
"""

import statistics
import time
from typing import Any, NamedTuple

import bench
import jax
import jax.numpy as jnp
import optax
from bench import joined
from structured_methods import methods

import jcompress as jc
from jcompress.models import LeNet5, ResNet

BATCH = 128


class Recipe(NamedTuple):
  dense: float  # epochs
  sparse: float  # epochs towards structure
  tuned: float  # epochs of the small network
  rate: float  # of Adam, at the start of a cosine
  l1: dict[str, float]  # filters to remove, by pattern of the groups
  lasso: float  # strength of the group lasso
  lasso_rate: float  # of SGD with momentum, at the start of a cosine
  slimming: float  # strength of the penalty on scales
  slimmed: float  # share of all channels that it removes


RECIPES = {
  'lenet5': Recipe(
    10, 5, 4, 1e-3, {'conv.*': 0.5, 'fc1.*': 0.8}, 4e-4, 0.02, 0.0, 0.0
  ),
  'resnet20': Recipe(
    3, 1, 1, 3e-3, {r'conv\d*[02468]/.*': 0.5}, 8e-4, 0.05, 1e-4, 0.4
  ),
}


def main():
  parser = bench.parser()
  parser.add_argument('--model', choices=list(RECIPES), required=True)
  parser.add_argument('--share', type=float, default=1.0, help='of the epochs')
  table = Structured(parser.parse_args())
  print(f'{"":26s}      error, %: at once, recalibrated, trained', end='')
  print('  parameters        MACs  latency  filters')
  show = lambda found: line(found, table.latency(found))
  for label, measure in methods(table):
    table.row(label, measure, show)


def line(found, latency):
  percent = lambda x: '   -   ' if x is None else f'{x:7.2f}'
  errors = (percent(found[k]) for k in ('at_once', 'recalibrated', 'error'))
  return (
    f'{found["label"]:26s} {"  ".join(errors)}  {found["params"]:10,d} '
    f'{found["macs"]:11,d} {latency:6.2f}x  '
    + '-'.join(str(n) for n in found['widths'].values())
  )


class Structured(bench.Rows):
  """One dense network, and what it costs to remove its filters."""

  def __init__(self, arguments):
    super().__init__(arguments)
    self.recipe = RECIPES[arguments.model]
    is_lenet = arguments.model == 'lenet5'
    self.model = LeNet5() if is_lenet else ResNet(20)
    self.image = jnp.asarray(self.images(8))
    variables = self.model.init(jax.random.key(arguments.seed), self.image)
    forms = jax.eval_shape(lambda: variables)
    self.graph = jc.channel_groups(self.model.apply, forms, self.image)
    self.dense = self.load(variables)

  def steps(self, epochs):
    return self.steps_of(self.arguments.share * epochs, BATCH)

  @property
  def is_normalized(self):
    return 'batch_stats' in self.dense

  def load(self, variables):
    """The dense network: from the file, or trained into it."""
    path = self.arguments.workdir / 'dense.jcz'
    if not path.exists():
      trained = self.train(
        self.model, jc.identity(), variables, self.recipe.dense
      )
      jc.save(path, jax.tree.map(jc.encoded.Dense, trained.variables))
    return jc.decode(jc.load(path).tree)

  def rebuilt(self, plan):
    """The model with the widths of a plan."""
    widths = jc.channel_widths(plan)
    return self.with_widths({n: w.features[0] for n, w in widths.items()})

  def with_widths(self, widths):
    if isinstance(self.model, ResNet):
      return self.model.clone(widths=widths)
    names = ('conv1', 'conv2', 'fc1')
    return self.model.clone(features=tuple(widths[n] for n in names))

  def adam(self, epochs):
    return optax.adam(
      optax.cosine_decay_schedule(self.recipe.rate, self.steps(epochs))
    )

  def train(self, model, comp, variables, epochs, tx=None):
    """Trains params as seen through a compressor."""
    steps, tx = self.steps(epochs), tx or self.adam(epochs)
    ts = self.fit(
      bench.loss_of(model),
      comp,
      tx,
      variables['params'],
      steps,
      BATCH,
      self.arguments.seed,
      variables=variables.get('batch_stats', {}),
    )
    params = comp.view(ts.latent, ts.state)
    return Trained(joined(params, ts.variables), ts)

  def recalibrated(self, model, variables):
    """With the statistics of 10,000 training images."""
    if not self.is_normalized:
      return variables
    return bench.recalibrated(model, variables, self.images(10_000))

  def error(self, model, variables):
    return self.test_error(model.apply, variables)

  def result(self, model, variables, at_once=None, recalibrated=None):
    """A row: the last network, and the errors on the way to it."""
    cost = jc.flops(model.apply, variables, self.image[:1])
    size = sum(x.size for x in jax.tree.leaves(variables['params']))
    return {
      'at_once': at_once,
      'recalibrated': recalibrated,
      'error': self.error(model, variables),
      'params': size,
      'macs': cost.macs,
      'widths': {
        name: layer['kernel'].shape[-1]
        for name, layer in variables['params'].items()
        if 'kernel' in layer
      },
    }

  def latency(self, found, repeats=100):
    """How many times as fast as the dense network: the median of pairs."""
    small = self.with_widths(found['widths'])
    key = jax.random.key(0)
    runs = [
      (jax.jit(model.apply), model.init(key, self.image))
      for model in (self.model, small)
    ]
    ratios = []
    for i in range(repeats):
      seconds = [0.0, 0.0]
      for which in (0, 1) if i % 2 else (1, 0):
        run, variables = runs[which]
        start = time.perf_counter()
        run(variables, self.image).block_until_ready()
        seconds[which] = time.perf_counter() - start
      ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios[2:])  # the first two compile


class Trained(NamedTuple):
  variables: Any
  train_state: Any


if __name__ == '__main__':
  main()

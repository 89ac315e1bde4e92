"""The README's table of pruning and sharing: each method on both LeNets.

    python tests/benchmarks/pruners.py --model lenet5 --workdir runs/lenet5

Trains the dense network by its Deep Compression config on all of Fashion-MNIST,
then prunes it by each method, packs, reads the file again and measures its
error. Where a method retrains or trains from scratch, it has the same number of
epochs and AdamW with a cosine. Results go to `results.jsonl` as they come; what
is there is not computed again.
"""

import bench
import jax
import numpy as np
import optax
import pruning_methods
import sharing_methods

import jcompress as jc
from jcompress import tree

DENSITIES = {  # of the kernels, as the configs have them
  'lenet_300_100': {'fc1': 0.065, 'fc2': 0.1, 'fc3': 0.3},
  'lenet5': {'conv1': 0.6, 'conv2': 0.12, 'fc1': 0.045, 'fc2': 0.2},
}
SHARED = {  # where weights also share values
  'lenet_300_100': DENSITIES['lenet_300_100'],
  'lenet5': {'conv1': 0.5, 'conv2': 0.1, 'fc1': 0.025, 'fc2': 0.15},
}
EPOCHS = {'lenet_300_100': 40, 'lenet5': 10}
RATE, DECAY = 1e-3, 0.2  # of AdamW


def main():
  parser = bench.parser()
  parser.add_argument('--model', choices=list(DENSITIES), required=True)
  parser.add_argument('--epochs', type=float)
  arguments = parser.parse_args()
  table = Pruners(arguments)
  print(f'dense: {table.errors["dense"]:.2f} % error')
  print(f'{"":34s} at once  trained  weights     bytes  ratio')
  for kind in (pruning_methods, sharing_methods):
    for label, measure in kind.methods(table):
      table.row(label, measure, line)


def line(found):
  percent = lambda x: '   -   ' if x is None else f'{x:7.2f}'
  return (
    f'{found["label"]:34s} {percent(found["error"])} '
    f'{percent(found["trained"])} {found["weights"]:9,d} {found["bytes"]:9,d} '
    f'{found["ratio"]:6.1f}'
  )


class Pruners(bench.Bench):
  """One dense network, and what pruning it costs."""

  def __init__(self, arguments):
    name = arguments.model
    super().__init__(arguments, f'deep_compression_{name}')
    self.densities, self.shared_densities = DENSITIES[name], SHARED[name]
    self.epochs = arguments.epochs or EPOCHS[name]
    self.dense_bytes = 4 * sum(x.size for x in jax.tree.leaves(self.params))

  @property
  def sparsities(self):
    return {f'{k}/kernel': 1 - d for k, d in self.densities.items()}

  @property
  def sparsity(self):
    """Of all kernels together."""
    kernels = jax.tree.leaves(tree.split(jc.KERNELS, self.params)[0])
    size = sum(x.size for x in kernels)
    kept = sum(
      self.params[name]['kernel'].size * d for name, d in self.densities.items()
    )
    return 1 - kept / size

  def magnitude(self, sparsities=None, **settings):
    """Magnitude pruning, a sparsity a layer."""
    rules = (sparsities or self.sparsities).items()
    return jc.partition(
      *((path, jc.magnitude_prune(s, **settings)) for path, s in rules)
    )

  def optimizer(self, steps, rate=RATE, decay=DECAY):
    return optax.adamw(
      optax.cosine_decay_schedule(rate, steps), weight_decay=decay
    )

  def fresh(self):
    """Params at random, as the dense network began."""
    key = jax.random.key(self.arguments.seed)
    return self.model.init(key, self.images(1))['params']

  def retrained(self, comp, params=None, *, share=1.0, **settings):
    """Trains for a share of the epochs; returns the train state."""
    steps = self.steps(share * self.epochs)
    params = self.params if params is None else params
    return self.train(comp, self.optimizer(steps, **settings), params, steps)

  def result(self, before, after, apply_fn=None, decode=jc.decode):
    """A row: two encoded trees, either of which may be missing."""
    read = lambda encoded: decode(jc.unpack(jc.pack(encoded)).tree)
    error = lambda x: None if x is None else self.error(read(x), apply_fn)
    last = before if after is None else after
    size = len(jc.pack(last))
    return {
      'error': error(before),
      'trained': error(after),
      'weights': stored_weights(last),
      'bytes': size,
      'ratio': self.dense_bytes / size,
    }


def stored_weights(encoded):
  """Entries that are not zero, or, behind hashes, buckets; biases too."""
  is_leaf = lambda x: isinstance(x, jc.encoded.Encoded)
  total = 0
  for x in jax.tree.leaves(encoded, is_leaf=is_leaf):
    hashed = isinstance(x, jc.encoded.Hashed)
    values = x.buckets if hashed else jc.decode(x)
    total += int(np.count_nonzero(np.asarray(values)))
  return total


if __name__ == '__main__':
  main()

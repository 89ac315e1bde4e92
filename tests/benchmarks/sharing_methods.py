"""The rows of `pruners.py` that share weights."""

import jax
import numpy as np
import optax
from bench import cross_entropy
from pruning_methods import encode, from_scratch, kernels, ramped, view, whole

import jcompress as jc
from jcompress import tree

CENTERS = 1e-4  # learning rate of shared values
LONGER = 4  # times the epochs, where pruning and sharing may take their time


def methods(table):
  """Labels, and functions that measure."""
  for k in (64, 8):
    yield f'HashedNets, 1/{k}', lambda k=k: hashed(table, k)
    yield f'dense of that size, 1/{k}', lambda k=k: narrow(table, k)
  yield 'pruned, soft weight-sharing', lambda: soft_pruned(table)
  yield (
    f'pruned, soft, {LONGER} times as long',
    lambda: soft_pruned(table, share=LONGER),
  )
  yield 'soft weight-sharing', lambda: soft(table, table.params, strength=0.1)


def hashed(table, divisor):
  """From scratch, as long as the dense network and then a method have."""
  comp = kernels(jc.hash_weights(1 / divisor))
  return from_scratch(table, comp, share=whole(table), decay=0.0)


def narrow(table, divisor):
  """A dense network with as many weights as `divisor` leaves of this one."""
  size = lambda p: sum(x.size for x in jax.tree.leaves(p))
  image = table.images(1)
  make = lambda share: table.model.clone(
    features=tuple(max(1, round(share * n)) for n in table.model.features)
  )
  shapes = lambda m: jax.eval_shape(m.init, jax.random.key(0), image)['params']
  wanted = size(tree.split(jc.KERNELS, table.params)[0]) / divisor
  wanted += size(table.params) - divisor * wanted
  shares = np.linspace(1 / 500, 1, 500)
  fits = [s for s in shares if size(shapes(make(s))) <= wanted]
  model = make(max(fits, default=shares[0]))
  apply_fn = lambda p, x: model.apply({'params': p}, x)
  params = model.init(jax.random.key(table.arguments.seed), image)['params']
  comp, steps = jc.identity(), table.steps(whole(table) * table.epochs)
  ts = table.train(
    comp,
    table.optimizer(steps, decay=0.01),
    params,
    steps,
    loss=cross_entropy(apply_fn),
  )
  return table.result(None, encode(comp, ts), apply_fn)


def soft(table, params, *, share=1, **prior):
  """The prior on trained weights; then codes stay and their values learn."""
  examples = len(table.dataset.train_labels)
  comp = kernels(jc.soft_share(examples, **prior))
  steps = table.steps(share * table.epochs / 2)
  mixture = optax.adam(3e-3)
  tx = optax.partition(
    {
      'weights': optax.adam(optax.cosine_decay_schedule(1e-3, steps)),
      'means': optax.adam(1e-4),
      'log_precisions': mixture,
      'log_proportions': mixture,
    },
    jc.soft_share_labels,
  )
  before = encode(comp, table.train(comp, tx, params, steps))
  hard = jc.decode(before)
  values = np.unique(np.concatenate([w.ravel() for w in leaves_of(hard)]))
  shared = kernels(jc.hessian_kmeans_share(k=np.count_nonzero(values)))
  slow = optax.adam(optax.cosine_decay_schedule(CENTERS, steps))
  return table.result(
    before, encode(shared, table.train(shared, slow, hard, steps))
  )


def leaves_of(params):
  kernels = tree.split(jc.KERNELS, params)[0]
  return [np.asarray(w) for w in jax.tree.leaves(kernels)]


def soft_pruned(table, share=1):
  """The same on pruned weights, of which few belong to the zero component."""
  comp = ramped(table, table.shared_densities, share)
  pruned = view(comp, table.retrained(comp, share=share))
  return soft(table, pruned, share=share, strength=0.3, zero_proportion=0.1)

"""Step time of compressors over a plain optax step, paired in one process.

    python tests/benchmarks/step_time.py [--model lenet_300_100] [--repeats 15]

Every repeat times a few steps of the plain loop and of each compressor, one
after the other, and the median of the ratios is printed: a machine that slows
down slows both. The second ratio is that of the time of all processors, which
moves less where other programs run. Those of another version are printed with
its folder in `PYTHONPATH`.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress import models

BATCH = 128
STEPS = 20


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--model', action='append', help='may be repeated')
  parser.add_argument('--repeats', type=int, default=15)
  parser.add_argument('--only', default='', help='rows that contain this')
  arguments = parser.parse_args()
  print(f'{jax.devices()[0].platform}, jax {jax.__version__}, batch {BATCH}')
  for name in arguments.model or ['lenet_300_100', 'lenet5']:
    measure(name, arguments.repeats, arguments.only)


def measure(name, repeats, only):
  model = models.build(name)
  key = jax.random.key(0)
  images = jax.random.uniform(key, (BATCH, 28, 28, 1))
  batch = {'image': images, 'label': jnp.arange(BATCH) % 10}
  params = model.init(key, images)['params']
  tx = optax.adam(1e-6)  # far from convergence, where denormals are slow

  def loss(params, batch):
    logits = model.apply({'params': params}, batch['image'])
    return optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['label']
    ).mean()

  @functools.partial(jax.jit, donate_argnums=0)
  def plain(carry, batch):
    params, opt_state = carry
    value, grads = jax.value_and_grad(loss)(params, batch)
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), value

  pruned = jax.tree.map(
    lambda w: jnp.where(jnp.abs(w) > jnp.quantile(jnp.abs(w), 0.92), w, 0),
    params,
  )
  select = lambda comp: jc.select(jc.KERNELS, comp)
  runs = {
    'identity': (jc.identity(), params),
    'prune, no refresh': (select(jc.magnitude_prune(0.9, every=10**6)), params),
    'prune, every 10 steps': (
      select(jc.magnitude_prune(0.9, every=10)),
      params,
    ),
    'surgery, every 10 steps': (
      select(jc.dynamic_surgery(0.9, every=10)),
      params,
    ),
    'rigl, every 100 steps': (select(jc.rigl(0.9, end=10**6)), params),
    'rigl, every 10 steps': (
      select(jc.rigl(0.9, end=10**6, every=10)),
      params,
    ),
    'sparse_evolution, every 100 steps': (
      select(jc.sparse_evolution(0.9, every=100)),
      params,
    ),
    'movement, every step': (select(jc.movement_prune(0.9)), params),
    'movement, every 10 steps': (
      select(jc.movement_prune(0.9, every=10)),
      params,
    ),
    'movement, soft': (select(jc.movement_prune(threshold=0.1)), params),
    'group_lasso': (select(jc.group_lasso(1e-6)), params),
    'group_lasso, two groupings': (
      select(jc.group_lasso(1e-6, groups=('filters', 'channels'))),
      params,
    ),
    'group_lasso, positions': (
      select(jc.group_lasso(1e-6, groups='positions')),
      params,
    ),
    'group_lasso, proximal': (
      select(jc.group_lasso(1e-6, proximal=True, learning_rate=1e-6)),
      params,
    ),
    'gradual_groups, every 10 steps': (
      select(jc.gradual_groups(0.5, every=10)),
      params,
    ),
    'kmeans_share, dense': (select(jc.kmeans_share(k=15)), params),
    'kmeans_share, 8 % kept': (select(jc.kmeans_share(k=15)), pruned),
    'linear_quantize, 8 bits': (select(jc.linear_quantize(8)), params),
    'linear_quantize, a layer': (
      select(jc.linear_quantize(8, axis=None)),
      params,
    ),
    'learned_step, 8 bits': (select(jc.learned_step(8)), params),
    'binary_connect': (select(jc.binary_connect()), params),
    'loss_aware_binarize': (select(jc.loss_aware_binarize()), params),
    'hash_weights, 1/8': (select(jc.hash_weights(1 / 8)), params),
    'hash_weights, 1/64': (select(jc.hash_weights(1 / 64)), params),
    'soft_share, 17 components': (select(jc.soft_share(60000)), params),
    'hard_concrete, a weight': (select(jc.hard_concrete(1e-6)), params),
    'hard_concrete, a unit': (
      select(jc.hard_concrete(1e-6, axis=-2)),
      params,
    ),
    'variational_dropout, every 20': (
      select(jc.variational_dropout(60000)),
      params,
    ),
  }
  runs = {label: run for label, run in runs.items() if only in label}
  copy = functools.partial(jax.tree.map, lambda x: jnp.array(x, copy=True))
  carries = {'plain': (plain, copy((params, tx.init(params))))}
  for label, (comp, start) in runs.items():
    ts = jc.init_train_state(comp, tx, start)
    carries[label] = jc.train_step(loss, comp, tx), ts
  ratios = {label: [] for label in runs}
  work = {label: [] for label in runs}
  seconds, processors = {}, {}
  for repeat in range(repeats + 1):
    for label, (step, carry) in carries.items():
      begin, start = time.perf_counter(), time.process_time()
      for _ in range(STEPS):
        carry, _ = step(carry, batch)
      jax.block_until_ready(carry)
      carries[label] = step, carry
      seconds[label] = time.perf_counter() - begin
      processors[label] = time.process_time() - start
      if repeat and label != 'plain':  # the first repeat compiles
        ratios[label].append(seconds[label] / seconds['plain'])
        work[label].append(processors[label] / processors['plain'])
  print(f'{name}: plain step {1000 * seconds["plain"] / STEPS:.2f} ms')
  for label, values in ratios.items():
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    print(
      f'  {label:34s} {middle:5.2f}x  ({low:.2f} .. {high:.2f})  '
      f'{np.median(work[label]):5.2f}x'
    )


if __name__ == '__main__':
  main()

"""The rows of `pruners.py` that prune: how each method makes its network."""

import jax
import jax.numpy as jnp
import optax
from bench import cross_entropy

import jcompress as jc
from jcompress import tree
from jcompress.traced import curvature

EXAMPLES = 2000  # whose curvature is looked at
ROUNDS = 5  # of pruning and retraining, where a method iterates
BIAS = 1e-5  # strength a step
GATES = 1e-2  # learning rate of gates


def methods(table):
  """Labels, and functions that measure."""
  yield (
    'dense',
    lambda: table.result(jc.identity().encode(table.params, ()), None),
  )
  yield 'magnitude, one shot', lambda: one_shot(table)
  yield 'magnitude, 5 rounds', lambda: rounds(table, magnitude_round)
  yield 'magnitude, gradual', lambda: gradual(table)
  yield 'dynamic surgery', lambda: surgery(table)
  yield 'OBD, 5 rounds', lambda: rounds(table, obd_round)
  yield 'layer OBS', lambda: layer_obs(table)
  yield 'variational dropout', lambda: variational(table)
  yield 'data-free, units', lambda: data_free(table)
  yield 'biased decay, units', lambda: biased(table)
  yield 'L0, hard concrete', lambda: gates(table)
  yield 'RigL, from scratch', lambda: rigl(table)
  yield '2:4', lambda: from_dense(table, kernels(jc.nm_prune()))


def kernels(comp):
  return jc.select(jc.KERNELS, comp)


def encode(comp, ts):
  return comp.encode(ts.latent, ts.state)


def view(comp, ts):
  return comp.view(ts.latent, ts.state)


def from_dense(table, comp, **settings):
  """Trains on from the dense network."""
  return table.result(None, encode(comp, table.retrained(comp, **settings)))


def from_scratch(table, comp, **settings):
  ts = table.retrained(comp, table.fresh(), **settings)
  return table.result(None, encode(comp, ts))


def cut(table, sparsities=None, params=None):
  """One-shot magnitude pruning: the encoded params, and the mask."""
  comp = table.magnitude(sparsities)
  latent, state = comp.init(table.params if params is None else params)
  latent, state = comp.update(latent, state, latent)
  return comp.encode(latent, state), comp.view(latent, state)


def one_shot(table):
  before, pruned = cut(table)
  fixed = kernels(jc.with_mask(nonzero(pruned)))
  return table.result(before, encode(fixed, table.retrained(fixed, pruned)))


def nonzero(params):
  return jax.tree.map(lambda w: w != 0, tree.split(jc.KERNELS, params)[0])


def rounds(table, prune):
  """Prunes by a factor, retrains, and again."""
  params = table.params
  for i in range(1, ROUNDS + 1):
    pruned = prune(table, params, i / ROUNDS)
    fixed = kernels(jc.with_mask(nonzero(pruned)))
    ts = table.retrained(fixed, pruned, share=1 / ROUNDS)
    params = view(fixed, ts)
  return table.result(None, encode(fixed, ts))


def magnitude_round(table, params, progress):
  sparsities = {
    path: 1 - (1 - s) ** progress for path, s in table.sparsities.items()
  }
  return cut(table, sparsities, params)[1]


def obd_round(table, params, progress):
  """Ranks the weights of all layers together, by the Gauss-Newton diagonal."""
  diagonal = curvature.gauss_newton_diag(
    table.apply, params, [table.images(EXAMPLES)]
  )
  chosen, rest = tree.split(jc.KERNELS, params)
  pruned, _ = jc.obd_prune(
    chosen,
    tree.split(jc.KERNELS, diagonal)[0],
    sparsity=1 - (1 - table.sparsity) ** progress,
  )
  return tree.join(pruned, rest)


def ramped(table, densities, share=1):
  """Magnitude pruning that grows over the first half of training."""
  end = table.steps(share * table.epochs) // 2
  ramp = lambda d: jc.schedules.cubic_sparsity(1 - d, begin=0, end=end)
  schedules = {f'{name}/kernel': ramp(d) for name, d in densities.items()}
  return table.magnitude(schedules, every=20)


def gradual(table):
  return from_dense(table, ramped(table, table.densities))


def surgery(table):
  steps = table.steps(table.epochs)
  rules = [
    (
      path,
      jc.dynamic_surgery(
        jc.schedules.cubic_sparsity(s, begin=0, end=steps // 2),
        every=20,
        probability=lambda calls: jnp.where(calls < 0.75 * steps, 1.0, 0.0),
      ),
    )
    for path, s in table.sparsities.items()
  ]
  return from_dense(table, jc.partition(*rules))


def layer_obs(table):
  hessians = curvature.input_hessian(
    table.apply, table.params, [table.images(2 * EXAMPLES)]
  )
  pruned = jax.tree.map(jnp.asarray, table.params)
  for path, sparsity in table.sparsities.items():
    layer = path.partition('/')[0]
    w, _, _ = jc.layer_obs(
      pruned[layer]['kernel'], hessians[path][0], sparsity=sparsity
    )
    pruned[layer]['kernel'] = w
  fixed = kernels(jc.with_mask(nonzero(pruned)))
  before = fixed.encode(*fixed.init(pruned))
  return table.result(before, encode(fixed, table.retrained(fixed, pruned)))


def hidden(table):
  """Dense layers whose units can go, and the layer behind each."""
  dense = [name for name in table.params if name.startswith('fc')]
  return list(zip(dense[:-1], dense[1:], strict=True))


def small(table, params, kept):
  """Removes units for real; the row before and after training on."""
  keep = {f'{name}/kernel:1': units for name, units in kept.items()}
  images = table.images(16)
  params, apply_fn = jc.shrink(table.apply, params, keep, images)
  comp, steps = jc.identity(), table.steps(table.epochs)
  ts = table.train(
    comp,
    table.optimizer(steps),
    params,
    steps,
    loss=cross_entropy(apply_fn),
  )
  before = comp.encode(params, ())
  return table.result(before, encode(comp, ts), apply_fn)


def data_free(table):
  params, kept = table.params, {}
  for name, following in hidden(table):
    params, kept[name], _ = jc.data_free_prune(
      params, kernel=f'{name}/kernel', outgoing=f'{following}/kernel'
    )
  return small(table, params, kept)


def biased(table):
  """Trains under the bias, then cuts out the units that are not needed.

  Needed are those without which more of 5,000 training images are answered
  wrongly than at the start, by more than half a percent of them.
  """
  names = [name for name, _ in hidden(table)]
  comp = jc.select(
    f'({"|".join(names)})/kernel', jc.biased_decay(BIAS, decoupled=True)
  )
  params = view(comp, table.retrained(comp, decay=0.0))
  images = jnp.asarray(table.images(5000))
  labels = table.dataset.train_labels[:5000]
  wrong = jax.jit(
    lambda p: jnp.sum(table.apply(p, images).argmax(-1) != labels)
  )
  allowed, kept = int(wrong(params)) + 25, {}
  for name, following in hidden(table):
    params, kept[name] = jc.remove_units(
      params,
      lambda p: int(wrong(p)) <= allowed,
      kernel=f'{name}/kernel',
      outgoing=f'{following}/kernel',
    )
  return small(table, params, kept)


def gates(table):
  comp = kernels(jc.hard_concrete(2 / len(table.dataset.train_labels)))
  steps = table.steps(table.epochs)
  falling = lambda rate: optax.adam(optax.cosine_decay_schedule(rate, steps))
  tx = optax.partition(
    {'weights': falling(1e-3), 'gates': falling(GATES)},
    jc.hard_concrete_labels,
  )
  return table.result(
    None, encode(comp, table.train(comp, tx, table.params, steps))
  )


def variational(table):
  rise = table.steps(table.epochs) // 4
  comp = jc.variational_dropout(
    len(table.dataset.train_labels),
    strength=optax.linear_schedule(0.0, 1.0, rise),
  )
  return from_dense(table, kernels(comp), decay=0.0)


def rigl(table):
  share = whole(table)
  end = round(0.75 * table.steps(share * table.epochs))
  comp = jc.rigl(table.sparsity, end=end)
  return from_scratch(table, kernels(comp), share=share)


def whole(table):
  """The epochs of the dense network too, for what starts from scratch."""
  return 1 + table.config.dense.epochs / table.epochs

"""The rows of `structured.py`: how each method chooses filters."""

import functools

import jax
import numpy as np
import optax
from bench import joined

import jcompress as jc

MOMENTUM = 0.9


def methods(table):
  """Labels, and functions that measure."""
  yield 'dense', lambda: table.result(table.model, table.dense)
  yield 'l1 filters', lambda: by_norm(table)
  yield 'group lasso', lambda: lasso(table)
  if table.is_normalized:
    yield 'network slimming', lambda: slimming(table)
  else:
    filters = ('params/conv1.*', 3e-3), ('params/conv2.*', 8e-3)
    yield 'lasso, filters of conv', lambda: lasso(table, filters)
  yield 'lasso, pruned, 4 bits', lambda: pipeline(table)


def cut(table, variables, keep):
  """Removes units; the model of the new widths and its variables."""
  plan = table.graph.plan(keep)
  small = jc.remove_channels(variables, plan)
  model = table.rebuilt(plan)
  jc.verify_rebuilt(model.apply, small, plan, table.image)
  return model, small


def tuned(table, variables, keep):
  """The row of a cut network that is trained on."""
  model, small = cut(table, variables, keep)
  at_once = table.error(model, small)
  again = None
  if table.is_normalized:
    again = table.error(model, table.recalibrated(model, small))
  last = table.train(model, jc.identity(), small, table.recipe.tuned)
  return table.result(model, last.variables, at_once, again)


def by_norm(table):
  """Li et al.: in a residual network the first layer of each block."""
  sparsity = {f'params/{p}': s for p, s in table.recipe.l1.items()}
  scores = jc.filter_norms(table.graph, table.dense, groups='|'.join(sparsity))
  keep = jc.keep_filters(table.graph, scores, sparsity)
  return tuned(table, table.dense, keep)


@functools.cache
def sparse(table, strengths=None):
  """Trained under the proximal group lasso; the units that are not zero.

  Strengths are one for all groups, or pairs of a pattern of groups and its own.
  By SGD: Adam would step as far for a gradient of any size, and win.
  """
  recipe = table.recipe
  steps = table.steps(recipe.sparse)
  rate = optax.cosine_decay_schedule(recipe.lasso_rate, steps)
  patterns, strengths = zip(*(strengths or [(None, recipe.lasso)]), strict=True)
  comp = jc.group_lasso(
    strengths,
    groups=[jc.unit_groups(table.graph, names=names) for names in patterns],
    proximal=True,
    learning_rate=lambda step: rate(step) / (1 - MOMENTUM),
  )
  tx = optax.sgd(rate, MOMENTUM)
  found = table.train(table.model, comp, table.dense, recipe.sparse, tx)
  norms = jc.filter_norms(table.graph, found.variables, 'l2')
  return found.variables, alive(norms)


def alive(scores):
  """The units whose score is not zero, of each group the best at least."""
  keep = {}
  for name, values in scores.items():
    kept = np.flatnonzero(values > 0)
    keep[name] = kept if len(kept) else np.array([np.argmax(values)])
  return keep


def lasso(table, strengths=None):
  return tuned(table, *sparse(table, strengths))


def slimming(table):
  """Scales of norms under a penalty; the smallest half of all goes."""
  recipe = table.recipe
  comp = jc.select('.*/scale', jc.group_lasso(recipe.slimming))
  found = table.train(table.model, comp, table.dense, recipe.sparse)
  scores = jc.filter_norms(table.graph, found.variables, 'batch_norm')
  keep = jc.keep_filters(
    table.graph, scores, recipe.slimmed, scope='global', least=2
  )
  return tuned(table, found.variables, keep)


def pipeline(table):
  """Filters, then weights, then bits: one file, and the error from it."""
  model, small = cut(table, *sparse(table))
  steps = table.steps(table.recipe.tuned)
  ramp = jc.schedules.cubic_sparsity(0.7, begin=0, end=steps // 2)
  comp = jc.select(
    jc.KERNELS,
    jc.chain(jc.magnitude_prune(ramp, every=20), jc.linear_quantize(4)),
  )
  last = table.train(model, comp, small, table.recipe.tuned)
  state = last.train_state
  path = table.arguments.workdir / 'small.jcz'
  statistics = jax.tree.map(jc.encoded.Dense, state.variables)
  encoded = joined(comp.encode(state.latent, state.state), statistics)
  jc.save(path, encoded)
  read = jc.decode(jc.load(path).tree)
  dense = 4 * sum(x.size for x in jax.tree.leaves(table.dense['params']))
  size = path.stat().st_size
  return {**table.result(model, read), 'bytes': size, 'ratio': dense / size}

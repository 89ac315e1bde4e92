"""Batch statistics of a network that was changed, computed anew from data."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.numerics.wide import wide


def recalibrate(
  apply_fn: Callable[[Any, Any], Any], variables: Any, batches: Iterable[Any]
) -> Any:
  """Computes the statistics of batch normalization anew.

  After channels are removed or weights rounded, the running averages of
  training no longer are those of the activations. Over batches of sizes `n_i`
  with means `m_i` and variances `v_i` they are, with `n = sum_i n_i`,

      m = sum_i n_i m_i / n,    v = sum_i n_i (v_i + m_i^2) / n - m^2

  A layer updates its average `s` to `d s + (1 - d) m_i`. From zero that is
  `(1 - d) m_i`, and a second run on the first batch tells the decay `d`: so any
  model gives `m_i` as it is.

  Args:
    apply_fn: `(variables, batch) -> updates`: runs the model in training mode
      and returns its new statistics under the paths that they have in
      `variables`, as linen's `model.apply(variables, x, mutable=[
      'batch_stats'])[1]` does.
    variables: parameters and statistics. The statistics are the leaves `mean`
      and `var` of one module.
    batches: what `apply_fn` takes. The first axis of the first leaf is that of
      the examples.

  Returns:
    The variables with the new statistics.

  Raises:
    ValueError: there are no batches; the updates hold no `mean` and `var`; the
      model does not update them.

  References:
    Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, arXiv 2105.07576.
  """
  leaves, treedef = jax.tree.flatten(variables)
  named = dict(zip(tree.paths(variables), leaves, strict=True))

  @jax.jit
  def run(named, statistics, batch):
    changed = jax.tree.unflatten(treedef, {**named, **statistics}.values())
    updates = apply_fn(changed, batch)
    pairs = zip(tree.paths(updates), jax.tree.leaves(updates), strict=True)
    return {path: x for path, x in pairs if path in statistics}

  update = partial(run, named)
  modules, decays, count = None, {}, 0
  sums: dict[str, Any] = defaultdict(float)
  for batch in batches:
    if modules is None:
      modules = _modules(jax.eval_shape(apply_fn, variables, batch), named)
      names = [f'{m}{kind}' for m in modules for kind in ('mean', 'var')]
      zeros = {name: jnp.zeros_like(wide(named[name])) for name in names}
      decays = _decays(update, zeros, batch)
    found = update(zeros, batch)
    size = np.shape(jax.tree.leaves(batch)[0])[0]
    count += size
    for module in modules:
      mean, variance = (
        np.asarray(found[name], np.float64) / (1 - decays[name])
        for name in (f'{module}mean', f'{module}var')
      )
      sums[f'{module}mean'] += size * mean
      sums[f'{module}var'] += size * (variance + mean**2)
  if modules is None:
    raise ValueError('There are no batches to compute statistics from.')
  for module in modules:
    mean = sums[f'{module}mean'] = sums[f'{module}mean'] / count
    variance = sums[f'{module}var'] / count - mean**2
    sums[f'{module}var'] = np.maximum(variance, 0)
  found = {n: jnp.asarray(x, named[n].dtype) for n, x in sums.items()}
  return jax.tree.unflatten(treedef, {**named, **found}.values())


def _decays(update, zeros, batch) -> dict[str, float]:
  """The decay of each average, from its updates from two values."""
  decays = {}
  first = update(zeros, batch)
  # Of the size of the update itself, so that rounding does not hide it.
  start = {name: jnp.where(x == 0, 1, x) for name, x in first.items()}
  second = update(start, batch)
  for name, x in start.items():
    grown = np.asarray(second[name], np.float64) - np.asarray(first[name])
    decays[name] = float(np.median(grown / np.asarray(x)))
  fixed = [name for name, decay in decays.items() if decay > 1 - 1e-6]
  if fixed:
    raise ValueError(
      f'The model does not update {", ".join(sorted(fixed))}. Run it in '
      'training mode, in which it normalizes by the batch.'
    )
  return decays


def _modules(updates, named) -> list[str]:
  """Prefixes of the paths of modules whose mean and variance are updated."""
  paths = [path for path in tree.paths(updates) if path in named]
  parts = [path.rpartition('/') for path in paths]
  prefixes = {head + slash for head, slash, last in parts if last == 'mean'}
  modules = sorted(p for p in prefixes if f'{p}var' in paths)
  if not modules:
    raise ValueError(
      'apply_fn returns no mean and var of one module under their paths among '
      f'the variables, {", ".join(named)}, but: '
      f'{", ".join(tree.paths(updates)) or "nothing"}.'
    )
  return modules

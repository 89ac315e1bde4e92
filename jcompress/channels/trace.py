"""Finds the channel groups of a model in its traced computation."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from jcompress import tree
from jcompress.channels import (
  calls,
  elementwise,
  indexing,
  products,
  reductions,
  shapes,
)
from jcompress.channels.analysis import Analysis
from jcompress.channels.graph import ChannelGraph
from jcompress.channels.groups import collect
from jcompress.channels.labels import ALWAYS
from jcompress.channels.tracked import Tracked
from jcompress.patterns import matches
from jcompress.traced import jaxprs

_RULES = {
  **calls.RULES,
  **elementwise.RULES,
  **indexing.RULES,
  **products.RULES,
  **reductions.RULES,
  **shapes.RULES,
}


def channel_groups(
  apply_fn: Callable[..., Any],
  params: Any,
  *inputs: Any,
  reductions: str = 'sum',
  constants: str = 'cut',
  free_outputs: str | None = None,
) -> ChannelGraph:
  """Finds which slices of which parameters can only be removed together.

  The model is traced once, abstractly, so linen, nnx and plain functions are
  all the same. An operation without a rule makes what it meets unprunable and
  is named in the result.

  >>> import jax.numpy as jnp
  >>> apply_fn = lambda p, x: jnp.tanh(x @ p['w1'] + p['b1']) @ p['w2']
  >>> params = {'w1': jnp.ones((3, 8)), 'b1': jnp.ones(8)}
  >>> params['w2'] = jnp.ones((8, 2))
  >>> graph = channel_groups(apply_fn, params, jnp.ones((1, 3)))
  >>> print(graph.groups['w1:1'])
  w1:1: 8 units of b1:0, w1:1, w2:0
  >>> graph.plan({'w1:1': [0, 2, 5]}).shapes
  {'b1': (3,), 'w1': (3, 3), 'w2': (3, 2)}

  One array under two paths, such as a table that is tied to a head by being the
  same object, is one: what it loses it loses under both, and a note of the
  group says so. Shapes do not tell what is tied.

  Args:
    apply_fn: `(params, *inputs) -> outputs`, any pytree. Use the mode, training
      or evaluation, in which the small network will run.
    params: pytree of arrays or of their shapes: nothing is computed or copied.
      The variables of a linen model and the state of an nnx one will do.
    *inputs: arrays or shapes.
    reductions: what may happen to channels that are summed over: `'sum'` allows
      sums of which masked channels are no part, but not means, since a module
      with fewer channels divides by fewer; `'exact'` allows means too, which
      only the function that `shrink` returns then reproduces; `'freeze'`
      neither.
    constants: `'cut'`: arrays in the computation are cut with the axes that
      they meet; `'freeze'`: those axes cannot change.
    free_outputs: a pattern of paths of outputs that are state, such as new
      batch statistics, and may shrink. All other outputs keep their shapes.

  Raises:
    ValueError: an option that is not one of those; a pattern that matches no
      output.
  """
  return tied_groups(
    apply_fn,
    params,
    _ties(params),
    *inputs,
    reductions=reductions,
    constants=constants,
    free_outputs=free_outputs,
  )


def tied_groups(
  apply_fn: Callable[..., Any],
  params: Any,
  ties: Mapping[str, str],
  *inputs: Any,
  reductions: str = 'sum',
  constants: str = 'cut',
  free_outputs: str | None = None,
) -> ChannelGraph:
  """`channel_groups`, whose arguments these are, with ties by their paths.

  Args:
    apply_fn: the model.
    params: pytree of arrays or of their shapes.
    ties: of each leaf that is the array under an earlier path, that path.
    *inputs: arrays or shapes.
    reductions: an option.
    constants: an option.
    free_outputs: a pattern.

  Raises:
    ValueError: as `channel_groups`.
  """
  closed, out = jaxprs.trace(apply_fn, params, *inputs)
  analysis = Analysis(_RULES, reductions=reductions, constants=constants)
  forms = jax.tree.leaves((params, *inputs))
  paths = tree.paths(params)
  leaves = {
    path: _free(analysis, np.shape(x))
    for path, x in zip(paths, forms[: len(paths)], strict=True)
  }
  arrays = [analysis.opaque(np.shape(x)) for x in forms[len(paths) :]]
  unused = set(_unused(closed.jaxpr, paths))
  used = {ties.get(path, path) for path in paths if path not in unused}
  for path in sorted(
    path for path in unused if ties.get(path, path) not in used
  ):
    why = 'leaf is not used by the traced function'
    analysis.freeze_array(leaves[path], why)
  captured = [
    analysis.constant(f'constant {i}', value)
    for i, value in enumerate(closed.consts)
  ]
  for path, first in ties.items():
    why = f'{path} and {first} are one array'
    analysis.unify(leaves[path], leaves[first], why)
    analysis.notes += [(why, labels) for labels in leaves[path].labels]
  arrays = [*leaves.values(), *arrays]
  outputs, frame = analysis.run(closed.jaxpr, captured, arrays)
  names = tree.paths(out.unflatten(range(out.num_leaves)))
  free = _matching(free_outputs, names)
  for name, output in zip(names, outputs, strict=True):
    if name not in free:
      analysis.freeze_array(output, f'network output {name}'.strip())
  analysis.store.freeze_unanchored(
    'copies of one value: their number is part of the program'
  )
  groups, frozen = collect(analysis, leaves)
  unknown = dict(analysis.unknown)
  return ChannelGraph(
    groups, frozen, unknown, leaves, closed, out, analysis, frame, dict(ties)
  )


def _ties(params):
  """The first path of each array that is there under another one before."""
  first, ties = {}, {}
  leaves = jax.tree.leaves(params)
  for path, x in zip(tree.paths(params), leaves, strict=True):
    if isinstance(x, jax.Array | np.ndarray) and np.ndim(x):
      if id(x) in first:
        ties[path] = first[id(x)]
      first.setdefault(id(x), path)
  return ties


def _free(analysis, shape):
  labels = tuple(
    analysis.store.fresh(n, anchored=True) if n > 1 else np.full(n, ALWAYS)
    for n in shape
  )
  return Tracked(labels, (0.0,) * len(labels))


def _unused(jaxpr, paths):
  atoms = [v for eqn in jaxpr.eqns for v in eqn.invars] + jaxpr.outvars
  used = {v for v in atoms if not isinstance(v, Literal)}
  return [p for p, v in zip(paths, jaxpr.invars, strict=False) if v not in used]


def _matching(pattern, names):
  if pattern is None:
    return set()
  found = {name for name in names if matches(pattern, name)}
  if not found:
    raise ValueError(
      f'Pattern {pattern!r} matches no output of: {", ".join(names)}.'
    )
  return found

"""Which axes of the params count layers, found in the traced model."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from jcompress import tree
from jcompress.traced import jaxprs
from jcompress.traced.operands import Operand


def stacked_axes(
  apply_fn: Callable[..., Any], params: Any, *inputs: Any
) -> dict[str, tuple[int, ...]]:
  """Finds the axes of params along which a model has one layer after another.

  These are axes that a `scan` runs over, that are indexed by a number (in a
  loop, or one layer after the other in Python), and that a dot product has as a
  batch, as the experts of a mixture. Other arithmetic on an array before that
  hides them.

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: any pytree of arrays or of their shapes; nothing is computed.
    *inputs: arrays or shapes.

  Returns:
    The axes by leaf path, of the leaves that have such axes; what `select` and
    `partition` take as `stacked`.

  >>> w = jnp.ones((3, 4, 4))
  >>> layer = lambda x, w: (x @ w, None)
  >>> stacked_axes(lambda p, x: jax.lax.scan(layer, x, p['w']), {'w': w},
  ...              jnp.ones((1, 4)))
  {'w': (0,)}
  """
  closed, _ = jaxprs.trace(apply_fn, params, *inputs)
  leaves = zip(tree.paths(params), jax.tree.leaves(params), strict=True)
  operands = [
    Operand(path, tuple((i,) for i in range(jnp.ndim(x))), jnp.shape(x))
    for path, x in leaves
  ]
  found = _Found({o.path: set() for o in operands}, {})
  rest = [None] * (len(closed.jaxpr.invars) - len(operands))
  _walk(closed.jaxpr, [*operands, *rest], found)
  for operand in operands:
    for axis, size in enumerate(operand.shape):
      if len(found.taken.get((operand.path, axis), ())) == size > 1:
        found.axes[operand.path].add(axis)
  return {
    path: tuple(sorted(axes)) for path, axes in found.axes.items() if axes
  }


class _Found(NamedTuple):
  """What counts layers, and which indices along an axis are taken alone."""

  axes: dict[str, set[int]]
  taken: dict[tuple[str, int], set[int]]


def _walk(jaxpr, operands, found):
  """Notes the axes that count layers; gives what the results hold."""
  known = dict(zip(jaxpr.invars, operands, strict=True))
  read = lambda a: None if isinstance(a, Literal) else known.get(a)
  for eqn in jaxpr.eqns:
    given = [read(a) for a in eqn.invars]
    if any(given):
      known |= zip(eqn.outvars, _after(eqn, given, found), strict=False)
  return [read(a) for a in jaxpr.outvars]


def _after(eqn, given, found):
  """What the results of an equation hold, as far as it is known."""
  body, name, params = jaxprs.inner(eqn), eqn.primitive.name, eqn.params
  if body is not None:
    return _walk(body.jaxpr, given, found)
  if name == 'scan':
    constants, carries = jaxprs.scan_counts(params)
    consts, carry = given[:constants], [None] * carries
    each = [_without(o, 0, found) for o in given[constants + carries :]]
    _walk(params['jaxpr'].jaxpr, [*consts, *carry, *each], found)
  elif name == 'while':
    first = params['cond_nconsts']
    body = params['body_jaxpr'].jaxpr
    consts = given[first : first + params['body_nconsts']]
    _walk(body, consts + [None] * (len(body.invars) - len(consts)), found)
  elif name == 'cond':
    for branch in params['branches']:
      _walk(branch.jaxpr, given[1:], found)
  elif name == 'dot_general':
    _, batched = params['dimension_numbers']
    for operand, dims in zip(given, batched, strict=True):
      for d in dims:
        _without(operand, d, found)
  elif name in ('dynamic_slice', 'slice') and given[0]:
    return [_sliced(eqn, given[0], found)]
  elif len(given) == 1:
    return [given[0].after(eqn)]
  return []


def _sliced(eqn, operand, found):
  """Of one index along one dimension: without it; of others nothing."""
  before, after = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
  cut = [d for d, (n, m) in enumerate(zip(before, after, strict=True)) if n > m]
  if len(cut) != 1 or after[cut[0]] != 1:
    return None
  (d,) = cut
  if eqn.primitive.name == 'dynamic_slice':
    _without(operand, d, found)
  else:
    for axis in operand.dims[d]:
      taken = found.taken.setdefault((operand.path, axis), set())
      taken.add(eqn.params['start_indices'][d])
  dims = (*operand.dims[:d], (), *operand.dims[d + 1 :])
  return dataclasses.replace(operand, dims=dims)


def _without(operand, d, found):
  """What one index along a dimension holds; the dimension counts layers."""
  if operand is None:
    return None
  found.axes[operand.path].update(operand.dims[d])
  dims = operand.dims[:d] + operand.dims[d + 1 :]
  return dataclasses.replace(operand, dims=dims)

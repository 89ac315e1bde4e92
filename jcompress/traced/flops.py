"""Counts the arithmetic of a model in its traced computation."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from jcompress.traced import jaxprs


class Operation(NamedTuple):
  """One product or convolution of the computation."""

  name: str  # with the shapes of its arguments
  macs: int  # of all of its runs in loops


class Flops(NamedTuple):
  """What a model costs.

  Attributes:
    macs: multiply-accumulates of matrix products and convolutions. One is two
      floating-point operations.
    params: numbers in the leaves that the computation uses; an array that is
      two leaves counts once.
    operations: what `macs` is the sum of, but for branches that cost less.
    unbounded: loops whose number of turns is not in the trace; their bodies
      count once.
  """

  macs: int
  params: int
  operations: tuple[Operation, ...]
  unbounded: int


def flops(apply_fn: Callable[..., Any], params: Any, *inputs: Any) -> Flops:
  """Counts multiply-accumulates and parameters.

  A zero weight costs what any other does, padding counts as data, and of a
  branch the dearest case counts. Elementwise operations are free.

  >>> import jax.numpy as jnp
  >>> params = {'w': jnp.ones((3, 8)), 'b': jnp.ones(8)}
  >>> cost = flops(lambda p, x: x @ p['w'] + p['b'], params, jnp.ones((1, 3)))
  >>> cost.macs, cost.params
  (24, 32)

  Args:
    apply_fn: `(params, *inputs) -> outputs`, such as the second result of
      `shrink`.
    params: pytree of arrays or of their shapes; nothing is computed.
    *inputs: arrays or shapes. The count is for the whole batch.
  """
  closed, _ = jaxprs.trace(apply_fn, params, *inputs)
  atoms = [v for e in closed.jaxpr.eqns for v in e.invars]
  atoms += closed.jaxpr.outvars
  used = {v for v in atoms if not isinstance(v, Literal)}
  leaves = zip(closed.jaxpr.invars, jax.tree.leaves(params), strict=False)
  sizes = {id(leaf): np.size(leaf) for v, leaf in leaves if v in used}
  operations, unbounded = _count(closed.jaxpr)
  macs = sum(operation.macs for operation in operations)
  return Flops(macs, sum(sizes.values()), tuple(operations), unbounded)


def _count(jaxpr) -> tuple[list[Operation], int]:
  found, unbounded = [], 0
  for eqn in getattr(jaxpr, 'jaxpr', jaxpr).eqns:
    operations, loops = _of_equation(eqn)
    found += operations
    unbounded += loops
  return found, unbounded


def _of_equation(eqn):
  name, params = eqn.primitive.name, eqn.params
  if name in _PRODUCTS:
    shapes = ', '.join(str(list(v.aval.shape)) for v in eqn.invars)
    return [Operation(f'{name}({shapes})', _PRODUCTS[name](eqn))], 0
  if name == 'scan':
    operations, loops = _count(params['jaxpr'])
    length = params['length']
    return [Operation(o.name, o.macs * length) for o in operations], loops
  if name == 'while':
    body, test = _count(params['body_jaxpr']), _count(params['cond_jaxpr'])
    return body[0] + test[0], body[1] + test[1] + 1
  if name == 'cond':
    total = lambda counted: sum(o.macs for o in counted[0])
    return max(map(_count, params['branches']), key=total)
  body = jaxprs.inner(eqn)
  return ([], 0) if body is None else _count(body)


def _of_product(eqn):
  (contracted, _), _ = eqn.params['dimension_numbers']
  shape = eqn.invars[0].aval.shape
  return eqn.outvars[0].aval.size * math.prod(shape[d] for d in contracted)


def _of_convolution(eqn):
  _, *summed = eqn.params['dimension_numbers'].rhs_spec
  shape = eqn.invars[1].aval.shape
  macs = eqn.outvars[0].aval.size * math.prod(shape[d] for d in summed)
  # A transposed convolution meets a number only at every so many places.
  return macs // math.prod(eqn.params['lhs_dilation'])


_PRODUCTS = {
  'conv_general_dilated': _of_convolution,
  'dot_general': _of_product,
}

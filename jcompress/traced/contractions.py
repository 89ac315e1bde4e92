"""Dot products, convolutions and look-ups of a kernel, as matrix products."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jcompress.numerics import exact
from jcompress.traced import jaxprs
from jcompress.traced.operands import Operand


@dataclasses.dataclass(frozen=True)
class Contraction:
  """An equation of which one side is a kernel.

  Attributes:
    kind: `'dense'`, `'conv'` or `'embed'`.
    operand: the kernel.
    eqn: the equation.
    side: which of its two arguments the kernel is.
    in_dims, out_dims, group_dims: dimensions of the operand that are summed
      over, that are left, that both sides have; in the order of the leaf's
      axes.
    groups: independent parts.
  """

  kind: str
  operand: Operand
  eqn: Any
  side: int
  in_dims: tuple[int, ...]
  out_dims: tuple[int, ...]
  group_dims: tuple[int, ...]
  groups: int

  @property
  def in_axes(self) -> tuple[int, ...]:
    return _axes(self.operand, self.in_dims)

  @property
  def out_axes(self) -> tuple[int, ...]:
    return _axes(self.operand, self.group_dims + self.out_dims)

  def compute(self, x, kernel):
    args = [x, x]
    args[self.side] = self.operand.arrange(kernel, cast=True)
    return jaxprs.bind(self.eqn.primitive, args, self.eqn.params)[0]

  def matrix(self, kernel):
    operand = self.operand.arrange(kernel)
    order = self.group_dims + self.in_dims + self.out_dims
    operand = operand.transpose(order)
    if self.kind != 'conv':
      return operand.reshape(self.groups, -1, _size(self, self.out_dims))
    operand = operand.reshape(-1, self.groups, operand.shape[-1] // self.groups)
    return jnp.moveaxis(operand, 1, 0)

  def kernel(self, matrix):
    order = self.group_dims + self.in_dims + self.out_dims
    if self.kind == 'conv':
      matrix = jnp.moveaxis(matrix, 0, 1)
    shape = self.eqn.invars[self.side].aval.shape
    operand = matrix.reshape([shape[d] for d in order])
    return self.operand.restore(operand.transpose(_inverse(order)))

  def unfold(self, x):
    if self.kind == 'embed':
      raise ValueError(
        f'{self.operand.path} is looked up row by row: its input is indices, '
        'there are no rows to multiply with.'
      )
    return (_patches if self.kind == 'conv' else _rows)(self, x)

  def response(self, y):
    if self.kind == 'conv':
      batch, feature, *spatial = self.eqn.params['dimension_numbers'].out_spec
      y = y.transpose(batch, *spatial, feature)
      y = y.reshape(-1, self.groups, y.shape[-1] // self.groups)
      return jnp.moveaxis(y, 1, 0)
    batched = list(self.eqn.params['dimension_numbers'][1][self.side])
    free = sorted(self.out_dims)
    first = y.ndim - len(free) if self.side == 1 else len(batched)
    groups = [batched.index(d) for d in self.group_dims]
    columns = [first + free.index(d) for d in self.out_dims]
    rows = [d for d in range(len(batched), y.ndim) if d not in columns]
    y = y.transpose(*groups, *rows, *columns)
    return y.reshape(self.groups, -1, _size(self, self.out_dims))


def contraction(
  eqn: Any, operands: Sequence[Operand | None]
) -> Contraction | None:
  """Reads an equation as the use of a kernel; None if it is not one."""
  sides = [i for i, o in enumerate(operands) if o is not None]
  if len(sides) != 1:
    return None
  side, operand = sides[0], operands[sides[0]]
  parts = _parts(eqn, side)
  if operand is None or parts is None:
    return None
  kind, inner, group, groups = parts
  rest = set(range(len(operand.dims))) - inner - group
  if kind == 'embed':
    rest = {eqn.params['dimension_numbers'].start_index_map[0]}
  order = lambda dims: tuple(sorted(dims, key=lambda d: operand.dims[d]))
  found = Contraction(
    kind, operand, eqn, side, order(inner), order(rest), order(group), groups
  )
  return None if set(found.in_axes) & set(found.out_axes) else found


def _parts(eqn, side):
  """Kind, summed and shared dimensions of the kernel, number of groups."""
  name, params = eqn.primitive.name, eqn.params
  if name == 'dot_general':
    contracted, batched = (set(n[side]) for n in params['dimension_numbers'])
    groups = math.prod(eqn.invars[side].aval.shape[d] for d in batched)
    return 'dense', contracted, batched, groups
  if name == 'conv_general_dilated' and side == 1:
    out, *rest = params['dimension_numbers'].rhs_spec
    if params['batch_group_count'] == 1:
      return 'conv', set(rest), set(), params['feature_group_count']
  if name == 'gather' and side == 0 and _takes_rows(eqn):
    return 'embed', set(), set(), 1
  return None


def _takes_rows(eqn):
  numbers, shape = eqn.params['dimension_numbers'], eqn.invars[0].aval.shape
  axes = numbers.start_index_map
  wanted = tuple(1 if d in axes else n for d, n in enumerate(shape))
  return (
    len(axes) == 1
    and tuple(numbers.collapsed_slice_dims) == tuple(axes)
    and tuple(eqn.params['slice_sizes']) == wanted
  )


def _rows(found, x):
  contracted, batched = found.eqn.params['dimension_numbers']
  mine, theirs = found.side, 1 - found.side
  partner = dict(zip(contracted[mine], contracted[theirs], strict=True))
  partner |= dict(zip(batched[mine], batched[theirs], strict=True))
  groups = [partner[d] for d in found.group_dims]
  inner = [partner[d] for d in found.in_dims]
  rows = [d for d in range(x.ndim) if d not in groups + inner]
  size = math.prod(x.shape[d] for d in inner)
  return x.transpose(*groups, *rows, *inner).reshape(found.groups, -1, size)


def _patches(found, x):
  params = found.eqn.params
  numbers, shape = params['dimension_numbers'], found.eqn.invars[1].aval.shape
  _, feature, *spatial = numbers.rhs_spec
  window = [shape[d] for d in spatial]
  x = x.transpose(numbers.lhs_spec)
  patches = jax.lax.conv_general_dilated_patches(
    x,
    window,
    params['window_strides'],
    params['padding'],
    params['lhs_dilation'],
    params['rhs_dilation'],
    precision=exact.PRECISION,
  )
  places = patches.shape[2:]
  patches = patches.reshape(
    len(x), found.groups, shape[feature], *window, *places
  )
  where = {d: 2 + i for i, d in enumerate((feature, *spatial))}
  inner = [where[d] for d in found.in_dims]
  rows = [0, *range(3 + len(window), patches.ndim)]
  patches = patches.transpose(1, *rows, *inner)
  return patches.reshape(found.groups, len(x) * math.prod(places), -1)


def _axes(operand, dims):
  return tuple(sorted({a for d in dims for a in operand.dims[d]}))


def _size(found, dims):
  return math.prod(found.eqn.invars[found.side].aval.shape[d] for d in dims)


def _inverse(order):
  return tuple(order.index(d) for d in range(len(order)))

"""A traced program that runs while its params are still to be decoded."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal

from jcompress import encoded
from jcompress.planning import block_products
from jcompress.traced import jaxprs, waiting

# Only another arrangement of the numbers: what reads it can read the original.
_ARRANGED = (
  'broadcast_in_dim',
  'expand_dims',
  'reshape',
  'rev',
  'slice',
  'squeeze',
  'transpose',
)
# What takes time is done where it stands, not at each use again.
_ONCE = (
  'cholesky',
  'cond',
  'conv_general_dilated',
  'dot_general',
  'eigh',
  'qr',
  'sort',
  'svd',
  'while',
)


@dataclasses.dataclass(frozen=True, eq=False)
class Leaf:
  """A leaf of the params that is not decoded yet."""

  leaf: Any
  is_large: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
  """What an equation makes of such values, which is not computed yet."""

  eqn: Any
  inputs: list[Any]
  place: int  # among the results of the equation
  is_large: bool


_Later = (Leaf, Result)


class Turns:
  """Computes what an operation needs once the one before it is done."""

  def __init__(self) -> None:
    self.last: list[
      Any
    ] = []  # results of the last operation that used a large leaf
    self.held: dict[Any, Any] = {}  # what was computed for it
    self.small: dict[Any, Any] = {}  # kept from the first use on

  def values(self, inputs: Sequence[Any]) -> list[Any]:
    """The arrays that the inputs of an operation stand for."""
    ready = [x for x in inputs if not isinstance(x, _Later)]
    is_turn = any(x.is_large for x in inputs if isinstance(x, _Later))
    zero = waiting.signal([*self.last, *ready]) if is_turn else None
    before = self.held
    held: dict[Any, Any] = {}

    def value(x, is_changed=False):
      if not isinstance(x, _Later):
        return x
      found = held if x.is_large else self.small
      if x not in found:
        found[x] = before[x] if x in before else compute(x, is_changed)
      return found[x]

    def compute(x, is_changed):
      if isinstance(x, Result):
        changes = x.eqn.primitive.name not in _ARRANGED
        args = [value(y, is_changed or changes) for y in x.inputs]
        return jaxprs.bind(x.eqn.primitive, args, x.eqn.params)[x.place]
      is_plain = isinstance(x.leaf, (encoded.Dense, encoded.Key))
      if x.is_large and (is_changed or not is_plain):
        return waiting.after(x.leaf, zero).decode()
      return x.leaf.decode()

    found = [value(x) for x in inputs]
    if is_turn:
      self.held = held
    return found

  def run(
    self, operation: Callable[..., list[Any]], inputs: Sequence[Any]
  ) -> list[Any]:
    """The results of an operation on what the inputs stand for."""
    outputs = operation(self.values(inputs))
    if any(x.is_large for x in inputs if isinstance(x, _Later)):
      self.last = outputs
    return outputs


def run(closed: ClosedJaxpr, args: Sequence[Any], turns: Turns) -> list[Any]:
  """Runs a jaxpr in which params are decoded as they are used.

  Args:
    closed: what is to be run.
    args: arrays, and leaves in place of params.
    turns: in which order; `turns.values` of the results are arrays.
  """
  jaxpr = closed.jaxpr
  values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
  values |= dict(zip(jaxpr.invars, args, strict=True))
  for eqn in jaxpr.eqns:
    inputs = [jaxprs.read(values, a) for a in eqn.invars]
    later = [x for x in inputs if isinstance(x, _Later)]
    body = jaxprs.inner(eqn) if later else None
    if body is not None:
      outputs = run(body, inputs, turns)
    elif later and _can_wait(eqn, inputs):
      large = any(x.is_large for x in later)
      outputs = [Result(eqn, inputs, i, large) for i in range(len(eqn.outvars))]
    elif later and (found := _in_blocks(eqn, inputs)) is not None:
      outputs = [found]
    elif later and eqn.primitive.name == 'scan':
      outputs = _scan(eqn.params, inputs, turns)
    else:
      operation = lambda xs, e=eqn: jaxprs.bind(e.primitive, xs, e.params)
      outputs = turns.run(operation, inputs)
    values |= dict(zip(eqn.outvars, outputs, strict=True))
  return [jaxprs.read(values, a) for a in jaxpr.outvars]


def _in_blocks(eqn, inputs):
  """The product of an array and a large leaf that is used as it is, or None."""
  if len(inputs) != 2 or not isinstance(inputs[1], Leaf):
    return None
  x, leaf = inputs
  is_other = isinstance(x, _Later) or not leaf.is_large
  return None if is_other else block_products.product(eqn, x, leaf.leaf)


def _can_wait(eqn, inputs):
  """Whether it is a cheap change of params alone, to be made at each use."""
  is_of_params = all(
    isinstance(x, _Later) or isinstance(a, Literal)
    for x, a in zip(inputs, eqn.invars, strict=True)
  )
  calls = (
    hasattr(p, 'eqns') or hasattr(p, 'jaxpr') for p in eqn.params.values()
  )
  is_cheap = eqn.primitive.name not in _ONCE and not any(calls)
  return is_of_params and is_cheap and not eqn.effects


def _scan(params, inputs, turns):
  """A loop whose body decodes the layers of leaves that it goes over."""
  split, carries = jaxprs.scan_counts(params)
  start = split + carries
  layers = {i: _layers(x) for i, x in enumerate(inputs) if i >= start}
  layers = {i: x for i, x in layers.items() if x is not None}

  def operation(values):
    rest = iter(values)
    xs = [layers[i] if i in layers else next(rest) for i in range(len(inputs))]

    def body(carry, parts):
      found = [Leaf(x, True) if encoded.is_encoded(x) else x for x in parts]
      own = Turns()
      out = own.values(run(params['jaxpr'], [*xs[:split], *carry, *found], own))
      return out[: len(carry)], out[len(carry) :]

    carry, ys = jax.lax.scan(
      body,
      xs[split:start],
      xs[start:],
      params['length'],
      params['reverse'],
      params['unroll'],
    )
    return [*carry, *ys]

  others = [x for i, x in enumerate(inputs) if i not in layers]
  outputs = turns.run(operation, others)
  turns.last = outputs
  return outputs


def _layers(x):
  """The layers of a leaf as one, each array with a first axis for them.

  None of what is no stack along the first axis of layers of one form.
  """
  stack = x.leaf if isinstance(x, Leaf) else None
  if isinstance(stack, encoded.Stacked):
    stack = encoded.layered(stack)
  is_first = isinstance(stack, encoded.Layered) and stack.axes == (0,)
  return stack.part if is_first else None

"""Evaluates a traced computation on params of other sizes.

No shape is inferred again: that of each variable is the number of indices that
a plan gives its labels. Equations of which nothing changed are bound as they
were traced, which keeps calls and their derivative rules in place. Numbers such
as `1 / n` stay as traced, so the result of smaller params is that of the masked
network.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import Literal

from jcompress.channels.analysis import Frame
from jcompress.channels.sizes import Resizing, Step, apply, changes, cut
from jcompress.channels.tracked import Tracked
from jcompress.traced import jaxprs

Body = Callable[..., list[Any]]

_JAX = os.path.dirname(jax.__file__) + os.sep


def evaluate(plan: Resizing, params: Any, *inputs: Any) -> Any:
  """Runs the traced network without removed channels, or with more.

  Args:
    plan: which indices of each axis there are.
    params: as from `remove_channels` with that plan.
    *inputs: of the shapes with which the graph was traced.

  Raises:
    ValueError: a shape is not the one that the plan needs.
  """
  graph, values = plan.graph, jax.tree.leaves((params, *inputs))
  jaxpr, arrays = graph.closed.jaxpr, graph.frame.arrays
  needed = [plan.shape(arrays[v]) for v in jaxpr.invars]
  given = [tuple(np.shape(value)) for value in values]
  if given != needed:
    pairs = zip(given, needed, strict=False)
    wrong = [f'{g} in place of {n}' for g, n in pairs if g != n]
    raise ValueError(
      f'This plan needs {len(needed)} arrays, {len(given)} were given; of '
      f'wrong shape: {", ".join(wrong) or "none"}. Give the params that '
      'were made for it, and inputs as traced.'
    )
  constants = graph.closed.consts
  return graph.out.unflatten(_run(plan, jaxpr, constants, graph.frame, values))


def _run(plan, jaxpr, constants, frame: Frame, args) -> list[Any]:
  pairs = zip(constants, frame.constants, strict=True)
  small = [cut(plan, value, array) for value, array in pairs]
  values = dict(zip(jaxpr.constvars, small, strict=True))
  values |= dict(zip(jaxpr.invars, args, strict=True))
  for index, eqn in enumerate(jaxpr.eqns):
    inputs = [jaxprs.read(values, atom) for atom in eqn.invars]
    outputs = _equation(plan, eqn, index, frame, inputs)
    for var, output in zip(eqn.outvars, outputs, strict=True):
      expected = plan.shape(frame.arrays[var])
      if tuple(np.shape(output)) != expected:
        raise ValueError(
          f'{eqn.primitive.name} gave shape {np.shape(output)} in place of '
          f'{expected}: this release of jax has changed the operation.'
        )
      values[var] = output
  return [jaxprs.read(values, atom) for atom in jaxpr.outvars]


def _equation(plan, eqn, index, frame, inputs):
  known, frames = frame.arrays, frame.inner.get(index, [])
  ins = [None if isinstance(v, Literal) else known[v] for v in eqn.invars]
  outs = [known[v] for v in eqn.outvars]
  inside = [a for f in frames for a in (*f.arrays.values(), *f.constants)]
  arrays = [a for a in (*ins, *outs, *inside) if a is not None]
  if not any(_changes(plan, array) for array in arrays):
    return jaxprs.bind(eqn.primitive, inputs, eqn.params)
  if not frames:
    step = Step(plan, eqn, inputs, ins, outs, frame.groups.get(index))
    return apply(step)
  bodies = [
    _body(plan, jaxpr, inner)
    for jaxpr, inner in zip(called(eqn), frames, strict=True)
  ]
  return list(_CALLS.get(eqn.primitive.name, _enter)(eqn, bodies, inputs))


def _changes(plan, array: Tracked) -> bool:
  return any(changes(plan, labels) for labels in array.labels)


def _body(plan, jaxpr, frame) -> Body:
  constants = getattr(jaxpr, 'consts', ())
  jaxpr = getattr(jaxpr, 'jaxpr', jaxpr)
  return lambda *args: _run(plan, jaxpr, constants, frame, args)


def called(eqn) -> Sequence[Any]:
  """The jaxprs that an equation calls, in the order of its frames."""
  params, name = eqn.params, eqn.primitive.name
  if name == 'cond':
    return params['branches']
  if name == 'while':
    return params['cond_jaxpr'], params['body_jaxpr']
  return [params['jaxpr'] if name == 'scan' else jaxprs.inner(eqn)]


def _enter(eqn, bodies, inputs):
  return bodies[0](*inputs)


def _rematerialized(eqn, bodies, inputs):
  options = {name: eqn.params[name] for name in ('prevent_cse', 'policy')}
  return jax.checkpoint(bodies[0], **options)(*inputs)


def _custom_jvp(eqn, bodies, inputs):
  name, file = _definition(jaxprs.inner(eqn))
  if not file.startswith(_JAX):
    return _without_gradient(eqn, bodies, inputs)
  # The rules of jax are those of the bodies, but for that of relu at 0.
  is_relu = name == 'relu' and len(inputs) == 1
  return [jax.nn.relu(*inputs)] if is_relu else bodies[0](*inputs)


def _without_gradient(eqn, bodies, inputs):
  # The rule is bound to the old shapes; entering the call without it would
  # silently give a straight-through estimator zero gradients.
  function = jax.custom_jvp(bodies[0])

  def refuse(primals, tangents):
    name, _ = _definition(jaxprs.inner(eqn))
    raise ValueError(
      f'The small network cannot be differentiated through {name!r}: it has a '
      'derivative rule of its own (custom_jvp or custom_vjp) and its shapes '
      'changed. Build the model anew with the smaller widths to train it.'
    )

  function.defjvp(refuse)
  return function(*inputs)


def _definition(closed) -> tuple[str, str]:
  """Name and file of the function that was traced."""
  info = getattr(closed.jaxpr, 'debug_info', None)
  name = getattr(info, 'func_name', None)
  return name or 'a call', getattr(info, 'func_filename', None) or ''


def _switch(eqn, bodies, inputs):
  return lax.switch(inputs[0], bodies, *inputs[1:])


def _scan(eqn, bodies, inputs):
  n_constants, n_carries = jaxprs.scan_counts(eqn.params)
  first = n_constants + n_carries

  def turn(carry, x):
    outputs = bodies[0](*inputs[:n_constants], *carry, *x)
    return outputs[:n_carries], outputs[n_carries:]

  options = {name: eqn.params[name] for name in ('length', 'reverse', 'unroll')}
  start, stacked = list(inputs[n_constants:first]), list(inputs[first:])
  carry, outputs = lax.scan(turn, start, stacked, **options)
  return [*carry, *outputs]


def _while(eqn, bodies, inputs):
  test, turn = bodies
  first = eqn.params['cond_nconsts']
  second = first + eqn.params['body_nconsts']
  return lax.while_loop(
    lambda carry: test(*inputs[:first], *carry)[0],
    lambda carry: turn(*inputs[first:second], *carry),
    list(inputs[second:]),
  )


_CALLS = {
  **dict.fromkeys(('checkpoint', 'remat', 'remat2'), _rematerialized),
  'cond': _switch,
  'custom_jvp_call': _custom_jvp,
  'custom_vjp_call': _without_gradient,
  'custom_vjp_call_jaxpr': _without_gradient,
  'scan': _scan,
  'while': _while,
}

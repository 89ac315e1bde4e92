"""Traced computations: how to trace a model once and run what was traced."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal, Primitive

INLINED = (
  'jit',
  'pjit',
  'closed_call',
  'core_call',
  'checkpoint',
  'remat',
  'remat2',
)
CUSTOM = ('custom_jvp_call', 'custom_vjp_call', 'custom_vjp_call_jaxpr')


def trace(apply_fn: Callable[..., Any], *args: Any) -> tuple[ClosedJaxpr, Any]:
  """Traces a function without computing anything.

  Args:
    apply_fn: a function of pytrees of arrays.
    *args: what it takes; only shapes and dtypes are looked at.

  Returns:
    The closed jaxpr over the flat arguments, and the structure of the result.
  """
  forms = jax.eval_shape(lambda *xs: xs, *args)
  closed, out = jax.make_jaxpr(apply_fn, return_shape=True)(*forms)
  return closed, jax.tree.structure(out)


def inner(eqn: Any) -> ClosedJaxpr | None:
  """The computation that a call runs once on its arguments; of others None."""
  if eqn.primitive.name not in INLINED + CUSTOM:
    return None
  for name in ('jaxpr', 'call_jaxpr', 'fun_jaxpr'):
    if name in eqn.params:
      found = eqn.params[name]
      is_closed = hasattr(found, 'consts')
      return found if is_closed else ClosedJaxpr(found, ())
  return None


def bind(
  primitive: Primitive, args: list[Any], params: dict[str, Any]
) -> list[Any]:
  """Applies a primitive with the parameters of its equation."""
  got = primitive.get_bind_params(params)
  # Older releases of jax give functions apart.
  functions, params = got if isinstance(got, tuple) else ((), got)
  out = primitive.bind(*functions, *args, **params)
  return list(out) if primitive.multiple_results else [out]


def read(values: dict[Any, Any], atom: Any) -> Any:
  """The value of an argument of an equation: a variable or a literal."""
  return atom.val if isinstance(atom, Literal) else values[atom]


def scan_counts(params: dict[str, Any]) -> tuple[int, int]:
  """How many constants and carries a scan has; written anew in jax 0.12."""
  if 'num_consts' in params:
    return params['num_consts'], params['num_carry']
  constants, carries, _ = params['ft_in'].unpack()
  return len(constants), len(carries)

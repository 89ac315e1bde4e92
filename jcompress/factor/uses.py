"""What uses the kernels of a traced model beside the layers to be replaced."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from jcompress import tree
from jcompress.factor.small_layers import shape_of
from jcompress.traced import jaxprs
from jcompress.traced.layers import Layer, evaluate


def require_equal(layers: Sequence[Layer]) -> None:
  """Raises a `ValueError` for layers of one kernel that use it differently."""
  form = lambda x: (x.kind, x.in_axes, x.groups, shape_of(x))
  if any(form(x) != form(layers[0]) for x in layers):
    raise ValueError(
      f'{layers[0].path} is used by {len(layers)} layers in different ways, '
      'such as along other axes; factors are of one. Leave it out of the '
      'pattern.'
    )


def lose_rules(
  apply_fn: Callable[..., Any],
  params: Any,
  paths: Collection[str],
  *inputs: Any,
) -> bool:
  """Whether layers are replaced inside functions with rules of their own.

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: pytree of arrays or of their shapes.
    paths: of the kernels whose layers are replaced.
    *inputs: arrays or shapes.

  Raises:
    ValueError: a kernel of these is used by more than layers. In the network
      without those layers nothing is to depend on it.
  """

  def without(params, *xs):
    return evaluate(apply_fn, params, *xs, call=_only_input, paths=paths)

  closed, _ = jaxprs.trace(without, params, *inputs)
  needed = {v for v in closed.jaxpr.outvars if not isinstance(v, Literal)}
  for eqn in reversed(closed.jaxpr.eqns):
    if needed.intersection(eqn.outvars) or eqn.effects:
      needed.update(v for v in eqn.invars if not isinstance(v, Literal))
  for path, var in zip(tree.paths(params), closed.jaxpr.invars, strict=False):
    if path in paths and var in needed:
      raise ValueError(
        f'{path} is used beside the layer that multiplies with it: in a loop '
        'or branch, or by other arithmetic, which its factors cannot give. '
        'Leave it out of the pattern.'
      )
  before, _ = jaxprs.trace(apply_fn, params, *inputs)
  return _customs(before) > _customs(closed)


def without_gradient(small_apply: Callable[..., Any]) -> Callable[..., Any]:
  """The same function, which refuses to be differentiated."""
  function = jax.custom_jvp(small_apply)

  def refuse(primals, tangents):
    raise ValueError(
      'The small network cannot be differentiated: a factored kernel is used '
      'inside a function with a derivative rule of its own (custom_jvp or '
      'custom_vjp). Leave that kernel out of the pattern to train it.'
    )

  function.defjvp(refuse)
  return function


def _only_input(layer, x, kernel):
  """Something of the layer's shape that depends on its input alone."""
  del kernel
  form = layer.contraction.eqn.outvars[0].aval
  return jnp.full(form.shape, jnp.sum(x), form.dtype)


def _customs(closed):
  """How many functions with a derivative rule of their own are called."""
  count = 0
  for eqn in closed.jaxpr.eqns:
    body = jaxprs.inner(eqn)
    if body is not None:
      count += (eqn.primitive.name in jaxprs.CUSTOM) + _customs(body)
  return count

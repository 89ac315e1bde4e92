"""Which kernel is used by which layer of a model, and in which way.

Found in the traced computation, so that Flax linen, nnx and plain functions are
all the same: a layer is a dot product, a convolution or a row look-up of which
one operand is a leaf of the params, at most cast, transposed, reshaped or
reversed before.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal
from jaxtyping import Array, Num

from jcompress import tree
from jcompress.traced import jaxprs
from jcompress.traced.contractions import Contraction, contraction
from jcompress.traced.operands import Operand

Call = Callable[['Layer', Any, Any], Any]


@dataclasses.dataclass(frozen=True)
class Layer:
  """One use of one kernel.

  Attributes:
    path: of the kernel among the params, such as `conv1/kernel`.
    kind: `'dense'` (any dot product), `'conv'` (also transposed, grouped and
      depthwise), `'embed'` (rows are looked up).
    in_axes: axes of the kernel that are summed over; none of an `'embed'`.
    out_axes: the others: an index along them is one output unit (a row of an
      `'embed'`). A scale for each output unit has these axes.
    groups: independent parts: of a grouped convolution, or of a dot product
      with batch axes in the kernel.
  """

  path: str
  kind: str
  in_axes: tuple[int, ...]
  out_axes: tuple[int, ...]
  groups: int
  contraction: Contraction = dataclasses.field(repr=False)

  def __call__(self, x: Any, kernel: Any) -> Any:
    """What the layer computes from its input and a kernel, without bias."""
    return self.contraction.compute(x, kernel)

  def unfold(self, x: Num[Array, '...']) -> Num[Array, 'groups n inputs']:
    """The input as rows, so that `unfold(x) @ matrix(kernel)` is the response.

    A convolution has one row for each example and output position; its entries
    are the patch under the kernel, in the order of the kernel's `in_axes`.

    Raises:
      ValueError: the layer is an `'embed'`.
    """
    return self.contraction.unfold(x)

  def matrix(
    self, kernel: Num[Array, '...']
  ) -> Num[Array, 'groups inputs outputs']:
    """The kernel as one matrix for each group."""
    return self.contraction.matrix(kernel)

  def kernel(
    self, matrix: Num[Array, 'groups inputs outputs']
  ) -> Num[Array, '...']:
    """Inverts `matrix`."""
    return self.contraction.kernel(matrix)

  def response(self, y: Num[Array, '...']) -> Num[Array, 'groups n out']:
    """The output `[groups, n, outputs]`, in rows and columns of these two."""
    return self.contraction.response(y)


def layers(
  apply_fn: Callable[..., Any], params: Any, *inputs: Any
) -> list[Layer]:
  """Lists the layers of a model in the order in which they run.

  A kernel that is used twice is listed twice. Kernels that are used inside a
  loop or a branch of the model, or changed by other arithmetic before they are
  used, are not listed.

  Args:
    apply_fn: `(params, *inputs) -> outputs`, outputs any pytree.
    params: any pytree of arrays or of their shapes; nothing is computed.
    *inputs: arrays or shapes.
  """
  found = []

  def call(layer, x, kernel):
    found.append(layer)
    return layer(x, kernel)

  run = lambda p, *xs: evaluate(apply_fn, p, *xs, call=call)
  jax.eval_shape(run, params, *inputs)
  return found


def evaluate(
  apply_fn: Callable[..., Any],
  params: Any,
  *inputs: Any,
  call: Call,
  paths: Collection[str] | None = None,
) -> Any:
  """Runs a model with each layer replaced.

  The model is traced and what was traced is run, equation by equation; works
  under `jit`. The derivative rule of a function with a custom one is lost where
  a kernel is used inside of it.

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: pytree of arrays.
    *inputs: arrays.
    call: `(layer, x, kernel) -> y`, run in place of each layer; `layer(x,
      kernel)` is what the model itself would compute.
    paths: of the leaves whose layers are replaced; of all if not given. Others
      are run as traced, with their derivative rules.
  """
  closed, out = jaxprs.trace(apply_fn, params, *inputs)
  values = jax.tree.leaves((params, *inputs))
  kernels = [
    Operand(path, tuple((i,) for i in range(jnp.ndim(x))), jnp.shape(x))
    if paths is None or path in paths
    else None
    for path, x in zip(tree.paths(params), jax.tree.leaves(params), strict=True)
  ]
  operands = kernels + [None] * (len(values) - len(kernels))
  sources = dict(zip(tree.paths(params), jax.tree.leaves(params), strict=True))
  outputs, _ = _run(closed, values, operands, sources, call)
  return out.unflatten(outputs)


def only(found: Sequence[Layer], wanted: Sequence[str]) -> dict[str, Layer]:
  """The layers that multiply with the kernels of the given paths, by path.

  Raises:
    ValueError: no layer does so with one of them, or more than one.
  """
  uses = {path: [x for x in found if x.path == path] for path in wanted}
  unused = [path for path, layers in uses.items() if not layers]
  if unused:
    raise ValueError(
      f'No layer multiplies with {", ".join(unused)} as it is: it is used in a '
      'loop or branch, changed before, or never. Leave it out of the pattern.'
    )
  twice = [path for path, layers in uses.items() if len(layers) > 1]
  if twice:
    raise ValueError(
      f'{", ".join(twice)} used by more than one layer; this needs kernels '
      'that are used once. Leave them out of the pattern.'
    )
  return {path: layers[0] for path, layers in uses.items()}


def _run(closed, args, operands, sources, call):
  """Runs a jaxpr; `operands` says which arguments are kernels, how arranged."""
  jaxpr = closed.jaxpr
  values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
  values |= dict(zip(jaxpr.invars, args, strict=True))
  kernels = dict(zip(jaxpr.invars, operands, strict=True))
  for eqn in jaxpr.eqns:
    inputs = [jaxprs.read(values, a) for a in eqn.invars]
    origins = [_origin(kernels, a) for a in eqn.invars]
    arranged = [None] * len(eqn.outvars)
    body = jaxprs.inner(eqn)
    is_plain = eqn.primitive.name in jaxprs.INLINED
    if body is not None and (is_plain or any(origins)):
      outputs, arranged = _run(body, inputs, origins, sources, call)
    elif found := contraction(eqn, origins):
      layer = _layer(found)
      outputs = [call(layer, inputs[1 - found.side], sources[layer.path])]
    else:
      outputs = jaxprs.bind(eqn.primitive, inputs, eqn.params)
      if len(origins) == 1 and origins[0]:
        arranged = [origins[0].after(eqn)]
    values |= dict(zip(eqn.outvars, outputs, strict=True))
    kernels |= dict(zip(eqn.outvars, arranged, strict=True))
  out = [jaxprs.read(values, a) for a in jaxpr.outvars]
  return out, [_origin(kernels, a) for a in jaxpr.outvars]


def _origin(kernels, atom):
  return None if isinstance(atom, Literal) else kernels.get(atom)


def _layer(found):
  return Layer(
    found.operand.path,
    found.kind,
    found.in_axes,
    found.out_axes,
    found.groups,
    found,
  )

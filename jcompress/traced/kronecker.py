"""How much the outputs of a network tell each layer's inputs and outputs apart.

Per layer, two matrices in place of the Hessian of the whole network.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.finite import require_finite
from jcompress.numerics import exact
from jcompress.patterns import matches
from jcompress.traced import layers as layers_lib
from jcompress.traced.curvature import mean_over


class Moments(NamedTuple):
  """What an error `D` of an array costs: about `sum(D * (H D G))`.

  Attributes:
    inputs: `H`, second moments of what a kernel multiplies, `[in, in]` or a
      stack with one for each group; of a table a number for each row; None is
      one for all.
    outputs: `G`, second moments of the gradients of what comes out, `[out,
      out]` or a stack; None is one for all.
  """

  inputs: Any = None
  outputs: Any = None


UNKNOWN = Moments()


def kronecker(
  apply_fn: Callable[[Any, Any], Any],
  params: Any,
  batches: Iterable[Any],
  *,
  pattern: str = '.*',
  seed: int = 0,
) -> dict[str, Moments]:
  """Second moments of the inputs of each layer and of its outputs' gradients.

  With an error `D` in the kernel of a layer, the outputs of the network move by
  about `tr(G D^T H D)` squared, `H = X^T X / n` of the inputs `X` and `G` the
  same of the gradients of sums of all outputs with random signs. Both need
  inputs, no labels. A table whose rows are looked up has, in place of `H`, for
  each row the root of the frequency that is half the one that was seen and half
  that of all alike: rows that are rare are to keep something.

  Args:
    apply_fn: `(params, inputs) -> outputs`, an array or a tree.
    params: of the model.
    batches: inputs; at least one.
    pattern: of the paths of kernels, their outputs last, and tables. Arrays
      that no layer uses as such, or more than one, are left out.
    seed: of the signs.

  Returns:
    By path, in float32; stacks of matrices, one for each group.

  Raises:
    ValueError: no batch, an empty one; no layer of an array that matches; NaN
      or inf on the way.

  References:
    Martens and Grosse, Optimizing Neural Networks with Kronecker-factored
      Approximate Curvature, 2015, arXiv 1503.05671, section 3.
    Tseng et al., Model-Preserving Adaptive Rounding, 2025, arXiv 2505.22988.
  """
  names = [p for p in tree.paths(params) if matches(pattern, p)]

  def one(params, batch, key):
    forms = _forms(apply_fn, params, batch, names)

    def total(zeros):
      inputs = {}

      def call(layer, x, kernel):
        y = layer(x, kernel)
        if layer.path not in forms:
          return y
        inputs[layer.path] = _of_inputs(layer, x, kernel)
        return y + zeros[layer.path]

      outputs = layers_lib.evaluate(apply_fn, params, batch, call=call)
      return _signed_sum(outputs, key), inputs

    zeros = {p: jnp.zeros(y.shape, y.dtype) for p, (_, y) in forms.items()}
    grads, inputs = jax.grad(total, has_aux=True)(zeros)
    of = lambda p: Moments(inputs[p], _of_outputs(forms[p][0], grads[p]))
    return {path: of(path) for path in forms}

  found = mean_over(one, params, batches, jax.random.key(seed))
  require_finite(found, 'the layers of the model')
  return {
    path: m if m.inputs.ndim > 1 else m._replace(inputs=_tempered(m.inputs))
    for path, m in found.items()
  }


def _forms(apply_fn, params, batch, names):
  """Layers that one array each is used by, and the forms of what they give."""
  uses: dict[str, list[Any]] = {}

  def call(layer, x, kernel):
    y = layer(x, kernel)
    uses.setdefault(layer.path, []).append((layer, y))
    return y

  run = lambda p, x: layers_lib.evaluate(apply_fn, p, x, call=call)
  jax.eval_shape(run, params, batch)
  axes = {path: jnp.ndim(w) for path, w in tree.by_name(params).items()}

  def fits(layer):
    count, last = len(layer.out_axes), axes[layer.path]
    begin = 0 if layer.kind == 'embed' else last - count
    return layer.out_axes == tuple(range(begin, begin + count))

  found = {
    path: of[0]
    for path, of in uses.items()
    if path in names and len(of) == 1 and fits(of[0][0])
  }
  if not found:
    raise ValueError(
      f'No layer uses one of {", ".join(names) or "no arrays"} alone; there '
      f'are those of {", ".join(uses) or "none"}.'
    )
  return found


def _signed_sum(outputs, key):
  floats = [x for x in jax.tree.leaves(outputs) if tree.is_float(x)]
  total = jnp.float32(0)
  for i, x in enumerate(floats):
    signs = jax.random.rademacher(jax.random.fold_in(key, i), x.shape, 'int8')
    total += jnp.sum(x.astype(jnp.float32) * signs.astype(jnp.float32))
  return total


def _of_inputs(layer, x, kernel):
  if layer.kind == 'embed':
    rows = jnp.reshape(x, -1)
    counts = jnp.zeros(kernel.shape[0], jnp.float32).at[rows].add(1)
    return counts / rows.size
  return exact.second_moments(layer.unfold(x).astype(jnp.float32))


def _of_outputs(layer, gradient):
  if layer.kind == 'embed':
    rows = gradient.reshape(1, -1, gradient.shape[-1])
  else:
    rows = layer.response(gradient)
  return exact.second_moments(rows.astype(jnp.float32))


def _tempered(frequencies: Float[Array, ' rows']) -> Float[Array, ' rows']:
  return jnp.sqrt((frequencies + 1 / frequencies.size) / 2)

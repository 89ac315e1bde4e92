"""Sums of squared gradients of single examples, without forming most of them.

The gradient of a kernel for one example is `X^T D`, with rows `X` that come
into its layer and derivatives `D` of what goes out. Where an example has one
row, its square is `(X^2)^T D^2`: one matrix product sums over the examples.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.numerics import exact
from jcompress.traced import layers as layers_lib


def square_sums(
  model: Callable[[Any, Any], jax.Array],
  params: Any,
  batch: Any,
  roots: Callable[[jax.Array], jax.Array],
) -> Any:
  """Sums the squares of `r J` over the examples and their rows `r`.

  Args:
    model: `(params, example) -> outputs [m]`; its derivative by the params is
      `J`.
    params: pytree of arrays.
    batch: examples, stacked along the first axes of its arrays; memory is that
      of the inputs of all layers for all of them, unfolded.
    roots: `outputs [m] -> r [rows, m]`.

  Returns:
    float32 tree of the structure and shapes of the params.
  """
  example = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), batch
  )
  found = layers_lib.layers(model, params, example)
  paths = [x.path for x in found]
  unique = {
    x.path: x for x in found if paths.count(x.path) == 1 and x.kind != 'embed'
  }

  def run(shifts, rest, example):
    """The outputs, with a shift added to the response of each unique layer."""
    rows = {}

    def call(layer, x, kernel):
      y = layer(x, kernel)
      if layer.path not in unique:
        return y
      rows[layer.path] = layer.unfold(x)
      return y + shifts.get(layer.path, jnp.zeros_like(y))

    joined = tree.join(rest, fixed)
    outputs = layers_lib.evaluate(model, joined, example, call=call)
    return outputs, rows

  structure: Any = jax.tree.structure(params)
  names, leaves = tree.paths(params), jax.tree.leaves(params)
  part = lambda keep: structure.unflatten(
    x if keep(n) else None for n, x in zip(names, leaves, strict=True)
  )
  fixed = part(lambda n: n in unique)
  rest = part(lambda n: n not in unique)
  zeros = _shifts(model, params, example, unique)

  def gradients(example):
    outputs, back, rows = jax.vjp(
      lambda s, r: run(s, r, example), zeros, rest, has_aux=True
    )
    out, grads = jax.vmap(back)(roots(outputs))
    derivatives = {
      n: jax.vmap(layer.response)(out[n]) for n, layer in unique.items()
    }
    return rows, derivatives, grads

  rows, derivatives, grads = jax.vmap(gradients)(batch)
  square = lambda g: jnp.square(g.astype(jnp.float32)).sum((0, 1))
  sums = dict(
    zip(tree.paths(grads), map(square, jax.tree.leaves(grads)), strict=True)
  )
  for n, layer in unique.items():
    sums[n] = layer.kernel(_square_products(rows[n], derivatives[n]))
  return structure.unflatten(sums[n] for n in names)


def _square_products(rows, derivatives):
  """`sum (X^T D)^2`: X `[n, g, p, in]`, D `[n, roots, g, p, out]`."""
  rows = rows.astype(jnp.float32)
  derivatives = jnp.moveaxis(derivatives.astype(jnp.float32), 1, 3)
  if rows.shape[2] == 1:
    squares = jnp.square(derivatives).sum(3)
    return exact.einsum('ngpi,ngpo->gio', jnp.square(rows), squares)

  def add(total, example):
    # One large product an example: batched small ones are slow on CPU.
    x, d = example
    products = exact.einsum('gpi,gpro->giro', x, d)
    return total + jnp.square(products).sum(2), None

  form = rows.shape[1], rows.shape[3], derivatives.shape[4]
  start = jnp.zeros(form, jnp.float32)
  return jax.lax.scan(add, start, (rows, derivatives))[0]


def _shifts(model, params, example, unique):
  """Zeros of the shapes of the responses of the layers."""

  def responses(params, example):
    found = {}

    def call(layer, x, kernel):
      found[layer.path] = layer(x, kernel)
      return found[layer.path]

    layers_lib.evaluate(model, params, example, call=call)
    return {n: y for n, y in found.items() if n in unique}

  forms = jax.eval_shape(responses, params, example)
  return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), forms)

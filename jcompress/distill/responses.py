"""Responses of layers of any traced model, by the paths of their kernels."""

from collections.abc import Callable, Collection
from typing import Any

from jaxtyping import Array, Num

from jcompress.traced import layers

Responses = dict[str, Num[Array, 'batch ...']]


def features(
  apply_fn: Callable[..., Any],
  params: Any,
  *inputs: Any,
  paths: Collection[str],
) -> Responses:
  """What some layers of a model compute, before bias and activation.

  Works under `jit` and is differentiable in the params.

  Args:
    apply_fn: `(params, *inputs) -> outputs`: linen, nnx or plain.
    params: pytree of arrays.
    *inputs: arrays.
    paths: of the kernels of the layers, such as `conv1/kernel`.

  Raises:
    ValueError: no layer multiplies with one of them, or more than one does.

  >>> import jax.numpy as jnp
  >>> apply_fn = lambda p, x: jnp.tanh(x @ p['a']) @ p['b']
  >>> params = {'a': jnp.array([[2.0]]), 'b': jnp.array([[3.0]])}
  >>> features(apply_fn, params, jnp.array([[1.0]]), paths=['a'])['a'].tolist()
  [[2.0]]
  """
  return outputs_and_features(apply_fn, params, *inputs, paths=paths)[1]


def outputs_and_features(
  apply_fn: Callable[..., Any],
  params: Any,
  *inputs: Any,
  paths: Collection[str],
) -> tuple[Any, Responses]:
  """The same beside what the model gives, from one run of it."""
  if not paths:
    return apply_fn(params, *inputs), {}
  found: Responses = {}
  used: list[layers.Layer] = []

  def call(layer, x, kernel):
    used.append(layer)
    y = layer(x, kernel)
    found[layer.path] = y
    return y

  outputs = layers.evaluate(
    apply_fn, params, *inputs, call=call, paths=list(paths)
  )
  _require_once(used, paths, apply_fn, params, inputs)
  return outputs, found


def _require_once(used, paths, apply_fn, params, inputs):
  counts = {path: sum(x.path == path for x in used) for path in paths}
  if all(count == 1 for count in counts.values()):
    return
  known = sorted({x.path for x in layers.layers(apply_fn, params, *inputs)})
  wrong = [f'{path} ({n} times)' for path, n in counts.items() if n != 1]
  raise ValueError(
    f'Not the kernel of one layer: {", ".join(wrong)}. There are '
    f'{", ".join(known) or "none"}.'
  )

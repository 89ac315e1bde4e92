"""Units that pruning has cut off: nothing comes in, or nothing goes out."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from jcompress import tree
from jcompress.numerics import exact


def fold_dead_units(
  params: Any,
  layers: Sequence[str],
  *,
  activation: Callable[[Array], Array] = jax.nn.relu,
) -> tuple[Any, dict[str, Bool[np.ndarray, ' units']]]:
  """Cuts units without inputs or without outputs out of a chain of layers.

  A unit whose incoming weights are all zero gives `activation(bias)` for any
  input. That constant is folded into the bias of the next layer, and the unit
  then has no outputs, either. A unit without outputs loses what comes in, which
  may cut off further units before it. The outputs of the network stay what they
  were, up to rounding.

  A constant that is not zero stays where it cannot be folded: before a
  convolution, which may pad it with zeros, and before a layer without a bias.

  >>> fc1 = {'kernel': jnp.array([[1.0, 0, 2]]), 'bias': jnp.array([0.0, 3, 0])}
  >>> fc2 = {'kernel': jnp.array([[1.0], [5], [0]]), 'bias': jnp.zeros(1)}
  >>> params = {'fc1': fc1, 'fc2': fc2}
  >>> params, keep = fold_dead_units(params, ['fc1', 'fc2'])
  >>> keep['fc1/kernel:1'].tolist(), params['fc2']['bias'].tolist()
  ([True, False, False], [15.0])

  Args:
    params: tree of arrays.
    layers: paths of the layers, from the input to the output: each has a leaf
      `kernel [..., in, out]`, and may have a `bias [out]`. Max pools may lie
      between, and a flattening, with the units fastest.
    activation: between two layers, entry by entry.

  Returns:
    The params, zero where units were cut out, and which units of each layer
    that lost some are left (at least one): `shrink(apply_fn, params, keep, x)`
    makes the arrays smaller.

  Raises:
    ValueError: fewer than two layers, one that is not there, or that does not
      fit the one before.

  References:
    Han et al., Learning both Weights and Connections for Efficient Neural
    Networks, 2015, arXiv 1506.02626, section 3.5.
  """
  names, (leaves, treedef) = tree.paths(params), jax.tree.flatten(params)
  at = {name: i for i, name in enumerate(names)}
  kernels = _kernels(layers, at, leaves)
  biases = [at.get(f'{layer}/bias') for layer in layers]
  pairs = list(zip(kernels, kernels[1:], biases, biases[1:], strict=False))
  lost: dict[int, np.ndarray] = {}
  is_live = lambda i: tree.to_host(leaves[i]) != 0

  for kernel, after, bias, next_bias in pairs:
    axes = tuple(range(leaves[kernel].ndim - 1))
    dead = ~is_live(kernel).any(axes)
    units, out = len(dead), leaves[after]
    zeros = jnp.zeros(units, leaves[kernel].dtype)
    constant = activation(zeros if bias is None else leaves[bias])
    constant = jnp.where(dead, constant, 0)
    if out.ndim > 2 or next_bias is None:
      dead &= np.asarray(constant) == 0
    else:
      each = jnp.tile(constant, out.shape[0] // units)
      moved = leaves[next_bias].astype(jnp.float32) + exact.matmul(
        each.astype(jnp.float32), out.astype(jnp.float32)
      )
      leaves[next_bias] = moved.astype(leaves[next_bias].dtype)
    leaves[after] = _without_rows(out, dead)

  for kernel, after, bias, _ in reversed(pairs):
    out, units = leaves[after], leaves[kernel].shape[-1]
    rows = is_live(after).any((*range(out.ndim - 2), out.ndim - 1))
    dead = ~rows.reshape(-1, units).any(0)
    for i in (kernel,) if bias is None else (kernel, bias):
      leaves[i] = jnp.where(dead, jnp.zeros([], leaves[i].dtype), leaves[i])
    if dead.any():
      # A layer cannot be removed whole.
      lost[kernel] = dead & (np.arange(units) > 0) if dead.all() else dead

  keep = {
    f'{layer}/kernel:{leaves[i].ndim - 1}': ~lost[i]
    for layer, i in zip(layers, kernels, strict=True)
    if i in lost and lost[i].any()
  }
  return jax.tree.unflatten(treedef, leaves), keep


def _without_rows(out, dead):
  rows = np.tile(dead, out.shape[-2] // len(dead))
  return jnp.where(rows[:, None], jnp.zeros([], out.dtype), out)


def _kernels(layers, at, leaves):
  """The number of the kernel of each layer, if they fit each other."""
  if len(layers) < 2:
    raise ValueError(f'layers are {list(layers)}; give at least two.')
  found: list[int] = []
  for layer in layers:
    path = f'{layer}/kernel'
    if path not in at:
      raise ValueError(f'There is no {path}; the params have {list(at)}.')
    shape = leaves[at[path]].shape
    units = leaves[found[-1]].shape[-1] if found else 1
    if len(shape) < 2 or not units or not shape[-2] or shape[-2] % units:
      raise ValueError(
        f'{path} has the shape {list(shape)}; its last axis but one must be '
        f'the {units} units before it, or a multiple.'
      )
    found.append(at[path])
  return found

"""Removes the channels of a plan from params and from what mirrors them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.channels.graph import Plan
from jcompress.channels.groups import kernel_outputs


class Width(NamedTuple):
  """What the constructor of a module needs to know."""

  features: tuple[int, ...]  # sizes of the output axes of its kernel
  groups: int | None  # of a grouped convolution, else None


def remove_channels(params: Any, plan: Plan) -> Any:
  """Takes the removed channels out of all axes of all leaves.

  Works on whatever mirrors the params: gradients, masks, the state of an
  optimizer. A leaf belongs to the leaf of the params whose path ends its own
  path, as `0/mu/w1` belongs to `w1`; scalars stay as they are. What is cut of
  an array that was sharded over a mesh is whole on each of its devices. One
  array under two paths is one array in the result too, where both lose the
  same: always if it was one when the graph was made of it.

  Args:
    params: pytree of arrays, NumPy or JAX.
    plan: from `ChannelGraph.plan`.

  Raises:
    ValueError: a leaf belongs to no leaf of the params, or has another shape
      than the one that was traced.
  """

  def cut(x, masks):
    if isinstance(x, jax.Array) and not all(kept.all() for kept in masks):
      x = tree.replicated(x)
    xp = jnp if isinstance(x, jax.Array) else np
    for axis, kept in enumerate(masks):
      if not kept.all():
        x = xp.take(x, np.flatnonzero(kept), axis=axis)
    return x

  return _map(params, plan, cut)


def mask_channels(params: Any, plan: Plan) -> Any:
  """Zeroes the removed channels instead of removing them.

  An entry is zero if any of its coordinates is removed: kernels that produce a
  channel and those that consume it, biases, scales and statistics alike. Only
  then is masking the same as removing, for `sigmoid(0)` or the shift of a
  normalization would leak into the next layer. Arrays under two paths are
  treated as by `remove_channels`.

  Args:
    params: as of `remove_channels`.
    plan: from `ChannelGraph.plan`.

  Raises:
    ValueError: as `remove_channels`.
  """

  def zero(x, masks):
    keep = np.ix_(*masks)
    kept = np.zeros(np.shape(x), bool)
    kept[keep] = True
    # Not a product, which would keep NaN and inf.
    return x if kept.all() else jnp.where(kept, x, jnp.zeros_like(x))

  return _map(params, plan, zero)


def channel_widths(plan: Plan) -> dict[str, Width]:
  """The new widths of modules with a kernel or table, by module path.

  What a linen model must be built with to take the smaller params. The path is
  that of the kernel without its last part and without a leading `params/`.

  Args:
    plan: from `ChannelGraph.plan`.
  """
  graph, found = plan.graph, {}
  for path, axes in kernel_outputs(graph.analysis, graph.leaves).items():
    array = graph.leaves[path]
    shape = plan.shape(array)
    groups = None
    for outputs, labels in graph.analysis.conv_groups:
      if any(axis is outputs for axis in array.labels):
        groups = int(plan.kept(labels).sum())
    module = path.removeprefix('params/').rpartition('/')[0] or path
    found[module] = Width(tuple(shape[axis] for axis in axes), groups)
  return found


def _map(params, plan, change: Callable[[Any, list[np.ndarray]], Any]):
  leaves, treedef = jax.tree.flatten(params)
  changed, done = [], {}
  for path, x in zip(tree.paths(params), leaves, strict=True):
    if np.ndim(x):
      masks = _masks(plan, path, np.shape(x))
      same = id(x), *(kept.tobytes() for kept in masks)
      if same not in done:
        done[same] = change(x, masks)
      x = done[same]
    changed.append(x)
  return jax.tree.unflatten(treedef, changed)


def _masks(plan, path, shape):
  leaves = plan.graph.leaves
  parts = path.split('/')
  ends = ('/'.join(parts[i:]) for i in range(len(parts)))
  owner = next((end for end in ends if end in leaves), None)
  if owner is None:
    raise ValueError(
      f'Leaf {path!r} of shape {shape} belongs to no leaf of the params: '
      f'{", ".join(leaves)}. Cut trees that mirror the params only, or set the '
      'others up anew.'
    )
  if shape != leaves[owner].shape:
    raise ValueError(
      f'Leaf {path!r} has shape {shape}, but {owner!r} was traced with shape '
      f'{leaves[owner].shape}. Give what the graph was made of.'
    )
  return [plan.kept(labels) for labels in leaves[owner].labels]

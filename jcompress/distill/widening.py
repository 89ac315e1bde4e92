"""Net2WiderNet: more units that compute what fewer did."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.channels.graph import ChannelGraph
from jcompress.channels.groups import kernel_outputs
from jcompress.channels.shrink import cut_outputs, resized
from jcompress.channels.sizes import changes
from jcompress.channels.trace import channel_groups
from jcompress.distill.repeats import Repeats
from jcompress.traced.agreement import require_equal

HINT = (
  ' Somewhere a repeated unit is summed over, but not by a kernel: leave that '
  'layer as it is.'
)


def widen(
  apply_fn: Callable[..., Any],
  params: Any,
  widths: Mapping[str, int],
  *inputs: Any,
  key: jax.Array,
  noise: float = 0.0,
  tolerance: float | None = None,
  free_outputs: str | None = None,
) -> tuple[Any, Callable[..., Any]]:
  """Repeats units, so that a wider network computes what a narrow one did.

  What produces a unit is copied with it, whatever consumes it is divided by how
  often it is there: kernels, biases, scales and statistics, through residual
  sums, concatenations, flattens and depthwise convolutions, as the channel
  groups say. A copy lies behind what it is a copy of.

  >>> apply_fn = lambda p, x: jnp.tanh(x @ p['w1']) @ p['w2']
  >>> params = {'w1': jnp.ones((3, 4)), 'w2': jnp.ones((4, 2))}
  >>> x, key = jnp.ones((1, 3)), jax.random.key(0)
  >>> wide, wide_apply = widen(apply_fn, params, {'w1': 6}, x, key=key)
  >>> wide['w1'].shape, wide['w2'].shape, wide_apply(wide, x).shape
  ((3, 6), (6, 2), (1, 2))

  Args:
    apply_fn: `(params, *inputs) -> outputs`, any traced model.
    params: pytree of arrays; the variables of a linen model will do.
    widths: how many units there are after, by the name of a group as of
      `channel_groups` or by the path of the kernel that produces them, or of
      its module: `{'conv1': 64}`.
    *inputs: arrays on which it is checked.
    key: draws which units are repeated.
    noise: of kernels, where they are copies, in deviations of the kernel; equal
      copies stay equal under training unless dropout or this tells them apart.
      It is added after the check.
    tolerance: as of `shrink`.
    free_outputs: as of `channel_groups`.

  Returns:
    The params of the wider network, for a model that is built with that width,
    and `wide_apply(params, *inputs)`, which computes it from the traced one.

  Raises:
    ValueError: no such units, or not more of them than there are; a layer
      cannot be widened, since its units are summed over without a kernel, as by
      a norm over them; the wider network computes something else.

  References:
    Chen, Goodfellow & Shlens, Net2Net: Accelerating Learning via Knowledge
      Transfer, 2016, arXiv 1511.05641, section 3.
  """
  options: dict[str, Any] = {'reductions': 'freeze'}
  options['free_outputs'] = free_outputs
  graph = channel_groups(apply_fn, params, *inputs, **options)
  named = {group_of(graph, name): size for name, size in widths.items()}
  draw, spread = jax.random.split(key)
  keys = jax.random.split(draw, max(1, len(named)))
  counts = {
    name: _counts(graph.groups[name].size, size, own, name)
    for (name, size), own in zip(named.items(), keys, strict=True)
  }
  plan = Repeats(graph, counts)
  wide = repeated(params, plan)
  wide_apply = resized(
    apply_fn,
    params,
    plan,
    counts,
    lambda again: Repeats(again, counts),
    *inputs,
    **options,
  )
  expected = cut_outputs(plan, jax.jit(apply_fn)(params, *inputs))
  got = jax.jit(wide_apply)(wide, *inputs)
  require_equal(expected, got, tolerance, 'the narrow network', HINT)
  return (_spread(wide, plan, noise, spread) if noise else wide), wide_apply


def repeated(params: Any, plan: Repeats) -> Any:
  """Copies and divides params as a plan says.

  Args:
    params: pytree of arrays, those of the graph.
    plan: how often each unit is there.

  Raises:
    ValueError: a product sums over repeated units, and neither side is a leaf.
  """
  leaves = plan.graph.leaves
  divided = set(_consumers(plan))

  def change(path, x):
    for axis, labels in enumerate(leaves[path].labels):
      if changes(plan, labels):
        indices = plan.indices(labels)
        x = jnp.take(x, indices, axis=axis)
        if (path, axis) in divided:
          shape = [-1 if d == axis else 1 for d in range(x.ndim)]
          times = plan.times(labels)[indices].reshape(shape)
          x = (x / times).astype(x.dtype)
    return x

  return _map(change, params)


def _consumers(plan):
  """The axes of leaves that are summed over, one for each sum."""
  owner = {
    id(labels): (path, axis)
    for path, array in plan.graph.leaves.items()
    for axis, labels in enumerate(array.labels)
  }
  for found in plan.summed():
    places = []
    for array, axis in zip(found.arrays, found.axes, strict=True):
      # An activation has the labels of what produced it along one axis only.
      owners = [owner.get(id(labels)) for labels in array.labels]
      if None not in owners and len({path for path, _ in owners}) == 1:
        places.append(owners[axis])
    if not places:
      raise ValueError(
        'The widened units are summed over in a product without a kernel as it '
        'is: of two activations, as dims of attention are, or with a kernel '
        'that was reversed or cut. That is not divided; widen other units.'
      )
    yield places[-1]


def group_of(graph: ChannelGraph, name: str) -> str:
  """The group of this name, or whose units a kernel or module produces.

  Raises:
    ValueError: there is none, with the reason, or several.
  """
  if name in graph.groups:
    return name
  outputs = kernel_outputs(graph.analysis, graph.leaves)
  meant = [
    (path, axis)
    for path, axes in outputs.items()
    if f'{path}/'.removeprefix('params/').startswith(
      f'{name}/'.removeprefix('params/')
    )
    for axis in axes
  ]
  found = [
    group.name
    for group in graph.groups.values()
    if any(place in group.places for place in meant)
  ]
  if len(found) == 1:
    return found[0]
  reasons = [
    f' {path} cannot: {graph.frozen[path, axis]}.'
    for path, axis in meant
    if (path, axis) in graph.frozen
  ]
  raise ValueError(
    f'{name!r} produces {len(found)} groups of units that can be widened, of '
    f'{", ".join(found or graph.groups) or "none"}.{"".join(reasons)}'
  )


def _counts(size, wanted, key, name):
  if not wanted > size:
    raise ValueError(
      f'{name!r} has {size} units; widen it to more of them, not {wanted}.'
    )
  copies = jax.random.randint(key, (wanted - size,), 0, size)
  return 1 + np.bincount(np.asarray(copies), minlength=size)


def _spread(params, plan, noise, key):
  """Adds noise to what is a copy in a kernel."""
  leaves = plan.graph.leaves
  paths = tree.paths(params)
  keys = dict(zip(paths, jax.random.split(key, len(paths)), strict=True))

  def change(path, x):
    is_copy = np.zeros(x.shape, bool)
    for axis, labels in enumerate(leaves[path].labels):
      indices = plan.indices(labels)
      first = np.zeros(len(indices), bool)
      first[np.unique(indices, return_index=True)[1]] = True
      is_copy |= ~first.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
    if x.ndim < 2 or not tree.is_float(x) or not is_copy.any():
      return x
    drawn = jax.random.normal(keys[path], x.shape) * noise * jnp.std(x)
    return x + jnp.where(is_copy, drawn, 0).astype(x.dtype)

  return _map(change, params)


def _map(change, params):
  leaves, treedef = jax.tree.flatten(params)
  pairs = zip(tree.paths(params), leaves, strict=True)
  return treedef.unflatten(change(path, x) for path, x in pairs)

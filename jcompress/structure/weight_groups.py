"""Groups of weights: along axes of one array, or of the units of a network."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress.channels.graph import ChannelGraph
from jcompress.channels.kernel_axes import output_axes
from jcompress.mask import live_weights
from jcompress.patterns import matches
from jcompress.structure.unit_groups import UnitGroups, claims_of

Shape = tuple[int, ...]


class AxisGroups:
  """One group for each index along some axes of one array of a list."""

  def __init__(self, leaf: int, shape: Shape, kept: Sequence[int]):
    self._leaf = leaf
    own = {axis % len(shape) for axis in kept}
    self._summed = tuple(i for i in range(len(shape)) if i not in own)
    self._form = tuple(n if i in own else 1 for i, n in enumerate(shape))
    self._size = math.prod(shape[i] for i in self._summed)

  @property
  def sizes(self) -> Float[np.ndarray, '...']:
    """How many entries each group has."""
    return np.full(self._form, self._size, np.float32)

  def sums(self, leaves: Sequence[Array]) -> Float[Array, '...']:
    """The sum over the entries of each group, one number a group."""
    x = leaves[self._leaf].astype(jnp.float32)
    return jnp.sum(x, self._summed, keepdims=True)

  def spread(self, values: Array, leaves: Sequence[Array]) -> dict[int, Array]:
    """For each array with groups, what each entry is multiplied with.

    The result, by the number of the array, broadcasts to it. An entry gets the
    value of its group, the product if it is in several, one if it is in none.
    """
    del leaves
    return {self._leaf: values}


Groups = AxisGroups | UnitGroups
Grouping = Callable[[Sequence[str], Sequence[Shape]], list[Groups]]
"""Paths and shapes of the arrays of a tree to their groups."""


def axis_groups(*axes: int) -> Grouping:
  """One group for each index along these axes, of each array by itself.

  A kernel is `[height, width, in, out]` or `[in, out]`: `axis_groups(-1)` are
  its filters, `axis_groups(-2, -1)` the 2-d filters of each pair of channels,
  `axis_groups()` is the whole array.

  Args:
    *axes: what numbers the groups; the entries of a group lie along the others.
  """

  def bind(paths, shapes):
    for path, shape in zip(paths, shapes, strict=True):
      if any(not -len(shape) <= axis < len(shape) for axis in axes):
        raise ValueError(
          f'{path} of shape {list(shape)} has no groups along the axes '
          f'{list(axes)}. Select the leaves that have, such as '
          "select(KERNELS, ...), for instance with groups='filters'."
        )
    return [AxisGroups(i, shape, axes) for i, shape in enumerate(shapes)]

  return bind


def unit_groups(
  graph: ChannelGraph, *, outgoing: bool = False, names: str | None = None
) -> Grouping:
  """One group for each unit of a network: a neuron or channel, in all arrays.

  A neuron is its incoming weights, its bias, and its scale and shift where it
  is normalized: without them a constant would be left of it. Channels that a
  shortcut adds up are one group, with the weights of each kernel. Of kernels
  that are stacked for a loop both sides count.

  Args:
    graph: from `channel_groups`, on the same params.
    outgoing: adds the weights that leave the unit. An entry is then in two
      groups, that of its output and that of its input.
    names: a pattern of the names of the groups of the graph; all of them if
      not given.

  Raises:
    ValueError: a graph without groups; a pattern that matches none; when bound
      to params: leaves that are not in the graph or have another shape, or none
      in a group.

  References:
    Zhou, Alvarez & Porikli, Less is more: towards compact CNNs, 2016.
  """
  chosen = [
    group
    for name, group in graph.groups.items()
    if names is None or matches(names, name)
  ]
  if not graph.groups:
    raise ValueError(
      'The graph has no groups: no unit of the network can be removed. Print '
      'it for the reasons.'
    )
  if not chosen:
    raise ValueError(
      f'Pattern {names!r} matches no group of: {", ".join(graph.groups)}.'
    )

  produced = None if outgoing else output_axes(graph)

  def bind(paths, shapes):
    at = leaf_numbers(graph, paths, shapes)
    found = [
      UnitGroups(group.size, claims, shapes)
      for group in chosen
      if (claims := claims_of(graph, group, at, produced))
    ]
    if not found:
      raise ValueError(
        f'None of {", ".join(paths)} is in a group of the graph: '
        f'{", ".join(graph.groups)}.'
      )
    return found

  return bind


def _but_last(paths, shapes):
  for path, shape in zip(paths, shapes, strict=True):
    if len(shape) < 2:
      raise ValueError(
        f'{path} of shape {list(shape)} has no positions: it needs two axes or '
        'more. Select kernels only, such as select(KERNELS, ...).'
      )
  return [
    AxisGroups(i, shape, range(len(shape) - 1))
    for i, shape in enumerate(shapes)
  ]


NAMED: dict[str, Grouping] = {
  'filters': axis_groups(-1),
  'channels': axis_groups(-2),
  'positions': _but_last,
  'layer': axis_groups(),
}


def grouping(groups: str | Grouping) -> Grouping:
  """A grouping by its name, or as it is given.

  Of kernels `[height, width, in, out]` or `[in, out]`:

  * `'filters'`: the weights into one output channel or neuron; each entry of a
    vector, such as the scale of a normalization, is one
  * `'channels'`: the weights out of one input channel or neuron
  * `'positions'`: one tap of one input channel, for all filters; a zero one is
    a row of the unfolded product that can be left out
  * `'layer'`: a whole kernel, which a shortcut must bypass

  Raises:
    ValueError: a name that is none of these.

  References:
    Lebedev & Lempitsky, Fast ConvNets Using Group-wise Brain Damage, 2016,
    arXiv 1506.02515 (positions).
    Wen et al., Learning Structured Sparsity in Deep Neural Networks, 2016,
    arXiv 1608.03665 (all four).
  """
  if callable(groups):
    return groups
  if groups not in NAMED:
    raise ValueError(
      f'groups is {groups!r}; it must be one of {", ".join(NAMED)}, or come '
      'from axis_groups or unit_groups.'
    )
  return NAMED[groups]


def live_entries(
  groups: Sequence[Groups],
  leaves: Sequence[jax.Array],
  keep_zeros: bool = False,
) -> list[Array]:
  """Which entries may move: those of `live_weights`.

  With groups that are units, a bias that starts at zero may move too, unless
  its whole unit is zero.
  """
  units = [g for g in groups if isinstance(g, UnitGroups)]

  @jax.jit  # as one computation: networks have many units and leaves
  def find(leaves):
    live = [live_weights(x, keep_zeros) for x in leaves]
    if not units:
      return live
    filled = [
      x != 0 if x.ndim < 2 else m for x, m in zip(leaves, live, strict=True)
    ]
    free = [jnp.ones(x.shape, bool) for x in leaves]
    for group in units:
      is_used = group.sums(filled) > 0
      for i, used in group.spread(is_used, leaves).items():
        free[i] = free[i] & used
    kinds = zip(free, live, leaves, strict=True)
    return [f if x.ndim < 2 else m for f, m, x in kinds]

  return find(list(leaves))


def leaf_numbers(
  graph: ChannelGraph, paths: Sequence[str], shapes: Sequence[Shape]
) -> dict[str, int]:
  """The number of the array that a leaf of a graph is, by its path there.

  Paths may lack a first part that the others have, such as `params/`.

  Raises:
    ValueError: an array is no leaf of the graph, or has another shape.
  """
  at = {}
  for i, (path, shape) in enumerate(zip(paths, shapes, strict=True)):
    ends = lambda a, b: a == b or a.endswith(f'/{b}') or b.endswith(f'/{a}')
    found = [path] if path in graph.leaves else []
    found = found or [leaf for leaf in graph.leaves if ends(path, leaf)]
    if len(found) != 1 or graph.leaves[found[0]].shape != shape:
      raise ValueError(
        f'{path} of shape {list(shape)} is not one leaf of the graph, whose '
        f'leaves are {", ".join(graph.leaves)}. Trace the same params.'
      )
    at[found[0]] = i
  return at

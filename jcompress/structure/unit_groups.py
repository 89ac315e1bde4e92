"""Sums over the units of a channel graph, inside a compiled step."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jcompress import tree
from jcompress.channels.graph import ChannelGraph
from jcompress.channels.groups import Group


@dataclasses.dataclass(frozen=True)
class Claim:
  """What the units of a group own along one axis of one array.

  Attributes:
    leaf: the number of the array.
    axis: of the array.
    owned: the indices of each unit.
    owners: the units of each index, or the number of units where there is none;
      more than one row if an index has more than one owner.
    row: for each entry of `owned`, the row of `owners` with that unit.
  """

  leaf: int
  axis: int
  owned: Int[np.ndarray, 'units m']
  owners: Int[np.ndarray, 'rows n']
  row: Int[np.ndarray, 'units m']


class UnitGroups:
  """One group for each unit, over all arrays in which the unit owns indices.

  An entry that a unit owns along two axes, as on the diagonal of a recurrent
  kernel, is in its group once.
  """

  def __init__(
    self, units: int, claims: Sequence[Claim], shapes: Sequence[tuple[int, ...]]
  ):
    self._units, self._claims = units, claims
    self._shapes = shapes

  @property
  def sizes(self) -> Float[np.ndarray, ' units']:
    sizes = np.zeros(self._units, np.float32)
    for claim, earlier in self._in_turn():
      rest = list(self._shapes[claim.leaf])
      for other in earlier:
        rest[other.axis] -= other.owned.shape[1]
      rest[claim.axis] = claim.owned.shape[1]
      sizes += np.prod(rest)
    return sizes

  def sums(self, leaves: Sequence[Array]) -> Float[Array, ' units']:
    """Of the entries of each group; no scatter, so always in one order."""
    total = jnp.zeros([], jnp.float32)
    for claim, earlier in self._in_turn():
      x = leaves[claim.leaf].astype(jnp.float32)
      others = tuple(i for i in range(x.ndim) if i != claim.axis)
      if earlier:
        rows = [
          jnp.sum(jnp.where(fresh, x, 0), others)
          for fresh in _fresh(claim, earlier, x.ndim)
        ]
        along = tree.replicated(jnp.stack(rows))[claim.row, claim.owned]
      else:
        along = tree.replicated(jnp.sum(x, others))[claim.owned]
      total = total + jnp.sum(along, 1)
    return total

  def spread(self, values: Array, leaves: Sequence[Array]) -> dict[int, Array]:
    one = jnp.ones_like(values[:1])
    values = jnp.concatenate([values, one])
    found: dict[int, Array] = {}
    for claim, earlier in self._in_turn():
      ndim = leaves[claim.leaf].ndim
      masks = _fresh(claim, earlier, ndim) if earlier else []
      for r, owners in enumerate(claim.owners):
        factor = _along(values[owners], claim.axis, ndim)
        if masks:
          factor = jnp.where(masks[r], factor, _along(one, claim.axis, ndim))
        known = found.get(claim.leaf)
        found[claim.leaf] = factor if known is None else known * factor
    return found

  def _in_turn(self):
    """Each claim, with those on other axes of its array that come before."""
    for i, claim in enumerate(self._claims):
      yield claim, [c for c in self._claims[:i] if c.leaf == claim.leaf]


def claims_of(
  graph: ChannelGraph,
  group: Group,
  at: Mapping[str, int],
  produced: Mapping[str, tuple[int, ...]] | None,
) -> list[Claim]:
  """What a group owns in some arrays.

  Args:
    graph: of the network.
    group: one of its groups.
    at: the number of each array, by the path of its leaf.
    produced: of kernels only these axes count; all if not given.
  """
  claims = []
  for path, axis in group.places:
    counts = axis in (produced or {}).get(path, (axis,))
    if path in at and counts:
      owned = group.owned[path, axis]
      length = graph.leaves[path].shape[axis]
      claims.append(_claim(at[path], axis, owned, length))
  return claims


def _claim(leaf, axis, owned, length):
  units = len(owned)
  row = np.zeros(owned.shape, np.int64)
  count = np.zeros(length, np.int64)
  for unit, indices in enumerate(owned):
    row[unit] = count[indices]
    count[indices] += 1
  owners = np.full((count.max(initial=0), length), units)
  owners[row, owned] = np.arange(units)[:, None]
  return Claim(leaf, axis, owned, owners, row)


def _fresh(claim, earlier, ndim):
  """For each row of owners, which entries its unit does not own before."""
  masks = []
  for owners in claim.owners:
    fresh = jnp.ones((1,) * ndim, bool)
    for other in earlier:
      for before in other.owners:
        own = _along(jnp.asarray(owners), claim.axis, ndim)
        fresh = fresh & (own != _along(jnp.asarray(before), other.axis, ndim))
    masks.append(fresh)
  return masks


def _along(x, axis, ndim):
  """A vector as an array that lies along one axis."""
  return x.reshape([-1 if i == axis else 1 for i in range(ndim)])

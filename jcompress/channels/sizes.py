"""Equations whose parameters hold sizes, written for arrays of other sizes."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax import lax

from jcompress.channels.graph import ChannelGraph
from jcompress.channels.labels import Labels
from jcompress.channels.tracked import Tracked
from jcompress.traced import jaxprs


@runtime_checkable
class Resizing(Protocol):
  """What a network has in place of the indices of axes that were traced."""

  @property
  def graph(self) -> ChannelGraph: ...

  def indices(self, labels: Labels) -> Labels:
    """The index as traced of each that there is, in their order."""

  def shape(self, array: Tracked) -> tuple[int, ...]: ...


class Step(NamedTuple):
  """One equation in which the size of something changes.

  Attributes:
    plan: which indices there are.
    eqn: as it was traced.
    values: its arguments, of their new sizes.
    ins: labels of its arguments; `None` of literals.
    outs: labels of its results.
    groups: labels of the groups of a grouped convolution.
  """

  plan: Resizing
  eqn: Any
  values: Sequence[Any]
  ins: Sequence[Tracked | None]
  outs: Sequence[Tracked]
  groups: Labels | None

  @property
  def params(self) -> dict[str, Any]:
    return self.eqn.params

  @property
  def shape(self) -> tuple[int, ...]:
    return self.plan.shape(self.outs[0])

  def bind(self, **changes: Any) -> list[Any]:
    """Applies the primitive with some of its parameters changed."""
    params = {**self.params, **changes}
    return jaxprs.bind(self.eqn.primitive, list(self.values), params)


def changes(plan: Resizing, labels: Labels) -> bool:
  """Whether an axis has other indices than it was traced with."""
  return not np.array_equal(plan.indices(labels), np.arange(len(labels)))


def cut(plan: Resizing, value: Any, array: Tracked) -> Any:
  """Takes the indices that there are from a whole array."""
  for axis, labels in enumerate(array.labels):
    if changes(plan, labels):
      value = jnp.take(value, plan.indices(labels), axis=axis)
  return value


def apply(step: Step) -> list[Any]:
  """Computes the results of an equation on smaller arguments."""
  rule = _RULES.get(step.eqn.primitive.name)
  return rule(step) if rule else step.bind()


def _reshape(step):
  return [lax.reshape(step.values[0], step.shape)]


def _broadcast(step):
  axes = step.params['broadcast_dimensions']
  return [lax.broadcast_in_dim(step.values[0], step.shape, axes)]


def _slice(step):
  (x, *_), params = step.values, step.params
  strides = params['strides'] or (1,) * x.ndim
  starts, limits = params['start_indices'], params['limit_indices']
  for axis, labels in enumerate(step.ins[0].labels):
    chosen = np.arange(len(labels))[starts[axis] : limits[axis] : strides[axis]]
    places = np.flatnonzero(np.isin(step.plan.indices(labels), chosen))
    if len(places) == x.shape[axis]:
      continue
    if len(places) and (np.diff(places) == 1).all():
      first, last = int(places[0]), int(places[-1])
      x = lax.slice_in_dim(x, first, last + 1, axis=axis)
    else:
      x = jnp.take(x, places, axis=axis)
  return [x]


def _split(step):
  axis = step.params['axis']
  sizes = [step.plan.shape(out)[axis] for out in step.outs]
  return list(lax.split(step.values[0], sizes, axis))


def _pad(step):
  config = []
  padding = zip(step.params['padding_config'], step.outs[0].labels, strict=True)
  for (low, high, inner), labels in padding:
    # Axes with other padding cannot change.
    if not inner and low >= 0 and high >= 0:
      indices = step.plan.indices(labels)
      low, high = (indices < low).sum(), (indices >= len(labels) - high).sum()
    config.append((int(low), int(high), inner))
  return [lax.pad(*step.values, config)]


def _convolution(step):
  if step.groups is None:
    return step.bind()
  count = len(step.plan.indices(step.groups))
  return step.bind(feature_group_count=count)


def _gather(step):
  whole = step.ins[0].shape
  now = step.plan.shape(step.ins[0])
  triples = zip(step.params['slice_sizes'], whole, now, strict=True)
  sizes = tuple(n if size == full else size for size, full, n in triples)
  return step.bind(slice_sizes=sizes)


def _dynamic_slice(step):
  return step.bind(slice_sizes=step.shape)


def _random_bits(step):
  # The same draws as of the full network.
  return [cut(step.plan, step.bind()[0], step.outs[0])]


_RULES = {
  'broadcast_in_dim': _broadcast,
  'conv_general_dilated': _convolution,
  'dynamic_slice': _dynamic_slice,
  'gather': _gather,
  'pad': _pad,
  'random_bits': _random_bits,
  'reshape': _reshape,
  'slice': _slice,
  'split': _split,
}

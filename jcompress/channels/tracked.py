"""What is known of one array: its labels, and what its masked slices hold.

Removing channels equals masking them only if each sum that runs over them loses
nothing but zeros. So beside the labels goes, axis by axis, the number that a
masked slice holds in the masked network; `None` where it is not known. It is
found by evaluating the traced primitives themselves on those numbers, so no
table says which activations keep zero.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.channels.labels import Labels
from jcompress.traced import jaxprs

Number = bool | int | float | complex | None
Sums = Mapping[tuple[str, int], Labels]

_IDENTITIES = (
  'copy',
  'copy_p',
  'device_put',
  'name',
  'optimization_barrier',
  'pvary',
  'sharding_constraint',
  'stop_gradient',
)


@dataclasses.dataclass(frozen=True)
class Tracked:
  """One array of the traced computation.

  Attributes:
    labels: of each axis, one label an index.
    masked: of each axis, the number in a masked slice; `None` if unknown.
    const: the number, if the whole array is one known number.
    sums: the array descends from a sum (`'sum'`) or a matrix product (`'dot'`)
      over so many indices with these labels. Divided by the number of indices
      it would be a mean.
  """

  labels: tuple[Labels, ...]
  masked: tuple[Number, ...]
  const: Number = None
  sums: Sums = dataclasses.field(default_factory=dict)

  @property
  def shape(self) -> tuple[int, ...]:
    return tuple(len(axis) for axis in self.labels)

  def masked_at(self, axis: int) -> Number:
    return self.masked[axis] if self.const is None else self.const

  def masked_axes(self) -> list[Number]:
    return [self.masked_at(axis) for axis in range(len(self.labels))]


def joined_sums(arrays: Sequence[Tracked]) -> Sums:
  return {k: v for array in arrays for k, v in array.sums.items()}


def number(value: Any) -> Number:
  """A scalar of any dtype as a Python number; `None` if it is not one."""
  if jnp.issubdtype(jnp.result_type(value), jax.dtypes.extended):
    return None
  dtype = np.asarray(value).dtype
  kinds = {jnp.bool_: bool, jnp.integer: int, jnp.floating: float}
  found = (t for kind, t in kinds.items() if jnp.issubdtype(dtype, kind))
  return next(found, complex)(value)


def is_zero(value: Number) -> bool:
  return value is not None and value == 0


def is_finite(value: Number) -> bool:
  return value is None or bool(np.isfinite(value))


def either(*values: Number) -> Number:
  """What may be any of some numbers: known only if they are all the same."""
  first = values[0]
  same = lambda v: v == first or (is_nan(v) and is_nan(first))
  return first if all(map(same, values)) else None


def is_nan(value: Number) -> bool:
  return value is not None and value != value


def through_sum(*factors: Number) -> Number:
  """A sum of products in which these factors are masked."""
  if not all(map(is_finite, factors)):
    return math.nan
  return 0.0 if any(map(is_zero, factors)) else None


def evaluate(eqn: Any, values: Sequence[Number]) -> Number:
  """An elementwise primitive on numbers; `None` if the result is not known.

  NaN stands for any value that may not be finite. Divisors that are not known
  count as nonzero, unknown numbers as finite.
  """
  name, first = eqn.primitive.name, values[0]
  if name in _IDENTITIES:
    return first
  if name == 'select_n':
    cases = values[1:]
    return cases[first] if isinstance(first, int) else either(*cases)
  if any(v is None for v in values):
    return _evaluate_partly(name, values)
  if any(map(is_nan, values)):
    is_float = jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.inexact)
    return math.nan if is_float else None
  try:
    with jax.ensure_compile_time_eval():
      args = [
        jnp.asarray(value, var.aval.dtype)
        for value, var in zip(values, eqn.invars, strict=True)
      ]
      return number(jaxprs.bind(eqn.primitive, args, eqn.params)[0])
  except (TypeError, ValueError, NotImplementedError):
    # Parameters of some primitives repeat a shape: unknown is always right.
    return None


def _evaluate_partly(name, values):
  first = values[0]
  if name == 'div':
    survives = is_zero(first) or not is_finite(first)
    return through_sum(first) if survives else None
  if name == 'mul':
    return through_sum(*values)
  if name in ('add', 'sub', 'add_any') and not all(map(is_finite, values)):
    return math.nan
  return None

"""The walk over a traced computation that gives every axis its labels."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import source_info_util
from jax.extend.core import Jaxpr, Literal

from jcompress.channels.blocks import unify
from jcompress.channels.labels import ALWAYS, Labels, LabelStore
from jcompress.channels.tracked import (
  Number,
  Tracked,
  either,
  is_finite,
  is_zero,
  joined_sums,
  number,
)

_LARGEST_KNOWN = 1 << 20  # entries of a constant that are looked at


@dataclasses.dataclass
class Frame:
  """The labels of one call of one jaxpr, which may be called more than once.

  Attributes:
    arrays: of each variable.
    constants: of the arrays the jaxpr is closed over.
    inner: the frames of the calls that an equation makes, by its number.
    groups: labels of the groups of a grouped convolution, by its number.
  """

  arrays: dict[Any, Tracked]
  constants: list[Tracked]
  inner: dict[int, list['Frame']] = dataclasses.field(default_factory=dict)
  groups: dict[int, Labels] = dataclasses.field(default_factory=dict)


class Site(NamedTuple):
  """One equation of one call."""

  eqn: Any
  number: int
  frame: Frame
  path: str

  @property
  def params(self) -> dict[str, Any]:
    return self.eqn.params

  @property
  def name(self) -> str:
    return self.eqn.primitive.name

  @property
  def shape(self) -> tuple[int, ...]:
    """Of the first output."""
    return tuple(self.eqn.outvars[0].aval.shape)

  def why(self, reason: str) -> 'Reason':
    return Reason(self, reason)

  def __str__(self) -> str:
    shapes = (getattr(v.aval, 'shape', ()) for v in self.eqn.invars)
    shown = ', '.join(str(list(shape)) for shape in shapes)
    line = source_info_util.summarize(self.eqn.source_info)
    where = f' at {line}' if line else ''
    return f'{self.path}{self.name}({shown}){where}'


class Reason(NamedTuple):
  """Why something cannot be removed; written out only when it is read."""

  site: Site
  text: str

  def __str__(self) -> str:
    return f'{self.site}: {self.text}'


Rule = Callable[['Analysis', Site, list[Tracked]], list[Tracked]]


class Analysis:
  """Everything that one walk finds out.

  Attributes:
    store: of the labels.
    unknown: how often each primitive without a rule was met.
    constants: name, value and labels of each array in the trace.
    notes: numbers that may have been computed from a width, with the labels.
    conv_groups: labels of output channels and of groups of convolutions.
    kernels: labels of operands of products and look-ups, with the axes that
      become axes of the output.
  """

  def __init__(
    self,
    rules: Mapping[str, Rule],
    reductions: str = 'sum',
    constants: str = 'cut',
  ):
    """Args are explained at `channel_groups`; `rules` are of primitives."""
    _require('reductions', reductions, ('freeze', 'sum', 'exact'))
    _require('constants', constants, ('cut', 'freeze'))
    self.store = LabelStore()
    self.reductions = reductions
    self.unknown: Counter[str] = Counter()
    self.constants: list[tuple[str, Any, Tracked]] = []
    self.notes: list[tuple[object, Labels]] = []
    self.conv_groups: list[tuple[Labels, Labels]] = []
    self.kernels: list[tuple[tuple[Labels, ...], tuple[int, ...]]] = []
    self._rules = rules
    self._cuts_constants = constants == 'cut'

  def run(
    self,
    jaxpr: Jaxpr,
    constants: Sequence[Tracked],
    arrays: Sequence[Tracked],
    path: str = '',
  ) -> tuple[list[Tracked], Frame]:
    """Walks over the equations of one call."""
    known = dict(zip(jaxpr.constvars, constants, strict=True))
    known |= dict(zip(jaxpr.invars, arrays, strict=True))
    frame = Frame(known, list(constants))

    def read(atom):
      if isinstance(atom, Literal):
        return self.fixed(atom.val)
      return known[atom]

    for i, eqn in enumerate(jaxpr.eqns):
      site = Site(eqn, i, frame, path)
      results = self._apply(site, [read(v) for v in eqn.invars])
      known |= dict(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars], frame

  def call(
    self, jaxpr: Any, arrays: Sequence[Tracked], path: str
  ) -> tuple[list[Tracked], Frame]:
    """Walks over a jaxpr, closed or open, that an equation calls."""
    values = getattr(jaxpr, 'consts', ())
    constants = [self.constant(f'{path}constant', value) for value in values]
    return self.run(getattr(jaxpr, 'jaxpr', jaxpr), constants, arrays, path)

  def constant(self, name: str, value: Any) -> Tracked:
    """An array of the trace, cut together with what meets it."""
    fixed = self.fixed(value)
    if self._cuts_constants:
      fixed = dataclasses.replace(fixed, labels=self.copies(fixed.shape))
    if fixed.shape:
      self.constants.append((name, value, fixed))
    return fixed

  def fixed(self, value: Any) -> Tracked:
    """A value of the trace that cannot shrink."""
    array = self.opaque(np.shape(value))
    const = None
    is_number = not jnp.issubdtype(jnp.result_type(value), jax.dtypes.extended)
    if is_number and 0 < np.size(value) <= _LARGEST_KNOWN:
      flat = np.ravel(value)
      const = number(flat[0]) if (flat == flat[0]).all() else None
    return dataclasses.replace(array, const=const)

  def opaque(self, shape: Sequence[int]) -> Tracked:
    """An array of which nothing is known and nothing can be removed."""
    labels = tuple(np.full(size, ALWAYS) for size in shape)
    return Tracked(labels, (None,) * len(labels))

  def copies(self, shape: Sequence[int]) -> tuple[Labels, ...]:
    """Labels of indices that are all alike, until they meet a parameter."""
    store = self.store
    return tuple(
      store.fresh(size) if size > 1 else np.full(size, ALWAYS) for size in shape
    )

  def freeze(self, labels: Labels, why: object) -> None:
    self.store.freeze(labels, why)

  def freeze_array(self, array: Tracked, why: object) -> None:
    for labels in array.labels:
      self.freeze(labels, why)

  def sum_over(
    self, labels: Labels, masked: Sequence[Number], why: object
  ) -> None:
    """A sum of products of these masked values runs over the labels."""
    if not all(map(is_finite, masked)):
      what = 'a masked channel is not finite here'
    elif not any(map(is_zero, masked)):
      what = 'sum over channels whose masked value is not provably 0'
    else:
      return
    if self.store.alive(labels).any():
      self.freeze(labels, f'{why}: {what}')

  def unify(self, first: Tracked, second: Tracked, why: object) -> None:
    for a, b in zip(first.labels, second.labels, strict=True):
      unify(self.store, a, b, why)

  def join(self, first: Tracked, second: Tracked, why: object) -> Tracked:
    """What may be one array or the other: of branches, of turns of a loop."""
    self.unify(first, second, why)
    pairs = zip(first.masked_axes(), second.masked_axes(), strict=True)
    return Tracked(
      first.labels,
      tuple(either(*pair) for pair in pairs),
      either(first.const, second.const),
      joined_sums([first, second]),
    )

  def give_up(self, site: Site, arrays: Sequence[Tracked]) -> list[Tracked]:
    """Freezes all that meets an equation which is not understood."""
    self.unknown[site.name] += 1
    for array in arrays:
      self.freeze_array(array, site.why('no rule for this primitive'))
    shapes = (getattr(v.aval, 'shape', ()) for v in site.eqn.outvars)
    return [self.opaque(shape) for shape in shapes]

  def _apply(self, site, arrays):
    rule = self._rules.get(site.name, Analysis.give_up)
    expected = [tuple(v.aval.shape) for v in site.eqn.outvars]
    try:
      results = rule(self, site, arrays)
    except (KeyError, AttributeError):
      # Parameters of primitives are renamed between releases of jax.
      return self.give_up(site, arrays)
    if [array.shape for array in results] != expected:
      return self.give_up(site, arrays)
    return results


def _require(name, value, allowed):
  if value not in allowed:
    raise ValueError(
      f'{name} is {value!r}; it must be one of {", ".join(allowed)}.'
    )

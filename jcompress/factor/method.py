"""What a factorization is to those who train its factors, run or count them."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from jcompress.encoded.factors import multiply

Shape = tuple[int, ...]


class Stage(NamedTuple):
  """One factor, which is the kernel of a layer.

  Attributes:
    name: of the layer.
    shape: of the kernel.
    axes: their letters in the equation of all factors.
    groups: of a convolution: as many as channels where it is depthwise.
  """

  name: str
  shape: Shape
  axes: str
  groups: int = 1


class Plan(NamedTuple):
  """The factors of a kernel of some shape.

  Attributes:
    stages: in the order in which they run.
    out: the letters of their product, whose entries are those of the kernel.
  """

  stages: tuple[Stage, ...]
  out: str


@dataclasses.dataclass(frozen=True)
class Method:
  """A factorization with its ranks: `svd(16)`, `tucker2(8, 12)`, ...

  Equal and hashable by what it says, so that it may be a static argument.

  Attributes:
    name: of the method.
    ranks: of the factors.
    options: what else describes it.
    solve: `(method, kernel, key) -> factors`.
    plan: `(method, shape) -> Plan`; refuses shapes without such factors.
    shape_of: `(method, shapes of the factors) -> shape of the kernel`.
    respond: `(method, kernel, covariance) -> factors`, or None.
  """

  name: str
  ranks: tuple[int, ...]
  options: tuple[Any, ...]
  solve: Callable[..., Any] = dataclasses.field(repr=False)
  plan: Callable[..., Plan] = dataclasses.field(repr=False)
  shape_of: Callable[..., Shape] = dataclasses.field(repr=False)
  respond: Callable[..., Any] | None = dataclasses.field(
    default=None, repr=False
  )

  def __post_init__(self):
    for rank in self.ranks:
      if not isinstance(rank, int) or rank < 1:
        raise ValueError(
          f'{self.name} has the rank {rank!r}; it must be an int >= 1.'
        )

  def record(self) -> dict[str, Any]:
    """What `method_of` makes it from again: plain values, for metadata."""
    options = [list(x) if isinstance(x, tuple) else x for x in self.options]
    return {'name': self.name, 'ranks': list(self.ranks), 'options': options}

  def factors(
    self,
    kernel: Float[Array, '...'],
    *,
    key: jax.Array | None = None,
    covariance: Float[Array, 'n_in n_in'] | None = None,
  ) -> tuple[Float[Array, '...'], ...]:
    """The factors of a kernel, in the order in which they run.

    Args:
      kernel: of a shape that the method knows.
      key: of random starts, for methods that have them.
      covariance: of the layer's inputs, see `svd_factors`; `svd` alone has a
        use for it.

    Raises:
      ValueError: a kernel of this shape has no such factors.
    """
    self.stages(kernel.shape)
    if covariance is None:
      return self.solve(self, kernel, key)
    if self.respond is None:
      raise ValueError(
        f'{self.name} has no closed form for a covariance: leave it out, or '
        'take svd.'
      )
    return self.respond(self, kernel, covariance)

  def product(
    self, factors: Sequence[Float[Array, '...']]
  ) -> Float[Array, '...']:
    """The dense kernel that factors stand for, in their dtype."""
    shape = self.shape(factors)
    return multiply(self.equation(shape), factors, shape)

  def shape(self, factors: Sequence[Any]) -> Shape:
    """The shape of the kernel that factors stand for."""
    return self.shape_of(self, [tuple(f.shape) for f in factors])

  def stages(self, shape: Shape) -> tuple[Stage, ...]:
    """The factors of a kernel of some shape.

    Raises:
      ValueError: a kernel of this shape has no such factors.
    """
    return self.plan(self, tuple(shape)).stages

  def equation(self, shape: Shape) -> str:
    """The `einsum` that multiplies the factors of a kernel of some shape.

    Raises:
      ValueError: a kernel of this shape has no such factors.
    """
    stages, out = self.plan(self, tuple(shape))
    return ','.join(s.axes for s in stages) + '->' + out

  def cost(self, shape: Shape) -> int:
    """How many numbers the factors of a kernel of some shape have.

    Raises:
      ValueError: a kernel of this shape has no such factors.
    """
    return sum(math.prod(s.shape) for s in self.stages(shape))

  def pays(self, shape: Shape) -> bool:
    """Whether that is less than the kernel has."""
    return self.cost(shape) < math.prod(shape)

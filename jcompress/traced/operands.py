"""A leaf of the params on its way through a traced computation."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jcompress.traced import jaxprs

Dims = tuple[tuple[int, ...], ...]

_KEPT = ('convert_element_type', 'copy', 'stop_gradient', 'rev', 'reshard')


@dataclasses.dataclass(frozen=True)
class Operand:
  """A leaf of the params, as it stands in the computation.

  Attributes:
    path: of the leaf.
    dims: for each dimension the axes of the leaf that it holds.
    shape: of the leaf.
    steps: the equations that led from the leaf to here.
  """

  path: str
  dims: Dims
  shape: tuple[int, ...]
  steps: tuple[Any, ...] = ()

  def after(self, eqn: Any) -> 'Operand | None':
    """The operand that an equation makes of this one; None if it changes it."""
    dims = _dims_after(eqn, self.dims)
    if dims is None:
      return None
    return Operand(self.path, dims, self.shape, (*self.steps, eqn))

  def arrange(self, leaf: jax.Array, *, cast: bool = False) -> jax.Array:
    """Moves the entries of a leaf as those of this one were moved.

    Args:
      leaf: of the same shape and of any dtype.
      cast: also to the dtype that this one was cast to.
    """
    for eqn in self.steps:
      if cast or eqn.primitive.name != 'convert_element_type':
        (leaf,) = jaxprs.bind(eqn.primitive, [leaf], eqn.params)
    return leaf

  def restore(self, arranged: jax.Array) -> jax.Array:
    """Inverts `arrange`."""
    size = math.prod(self.shape)
    places = self.arrange(jnp.arange(size).reshape(self.shape))
    leaf = jnp.zeros(size, arranged.dtype)
    return leaf.at[places.ravel()].set(arranged.ravel()).reshape(self.shape)


def _dims_after(eqn, dims) -> Dims | None:
  name, params = eqn.primitive.name, eqn.params
  before, after = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
  if name in _KEPT:
    return dims
  if name == 'transpose':
    return tuple(dims[d] for d in params['permutation'])
  is_reshape = name in ('reshape', 'squeeze', 'expand_dims', 'broadcast_in_dim')
  if is_reshape and math.prod(before) == math.prod(after):
    return _reshaped(before, after, dims)
  return None


def _reshaped(before, after, dims) -> Dims | None:
  """Matches the least runs of dimensions of equal size, one of them alone."""
  out: list[tuple[int, ...]] = []
  old = [(n, a) for n, a in zip(before, dims, strict=True) if n != 1]
  sizes = [n for n in after if n != 1]
  while sizes:
    olds, news = [old.pop(0)], [sizes.pop(0)]
    while math.prod(n for n, _ in olds) != math.prod(news):
      if math.prod(n for n, _ in olds) < math.prod(news):
        olds.append(old.pop(0))
      else:
        news.append(sizes.pop(0))
    if len(olds) > 1 and len(news) > 1:
      return None
    out += [tuple(sorted({a for _, axes in olds for a in axes}))] * len(news)
  runs = iter(out)
  return tuple(() if n == 1 else next(runs) for n in after)

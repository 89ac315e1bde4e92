"""How many weights each layer of a sparse network gets."""

import math
from collections.abc import Callable
from typing import Any

import jax

from jcompress import tree

Densities = Callable[[Any, float], Any]


def uniform(params: Any, sparsity: float) -> Any:
  """The same density, `1 - sparsity`, for each array.

  Args:
    params: tree of arrays, such as `tree.split(KERNELS, params)[0]`.
    sparsity: fraction of all weights that are zero, `0 .. 1`.

  Returns:
    Tree like `params` of numbers in `0 .. 1`.

  Raises:
    ValueError: the sparsity is out of range.
  """
  _require_fraction(sparsity)
  return jax.tree.map(lambda _: 1 - sparsity, params)


def erdos_renyi_kernel(params: Any, sparsity: float) -> Any:
  """More weights where an array has few: `eps * sum(dims) / prod(dims)`.

  `eps` is such that the network has the sparsity asked for. Where a density
  exceeds one, the layer of largest density becomes dense, and `eps` is solved
  again for the others, until none does. For a dense layer this is the density
  of the Erdos-Renyi graphs of Mocanu et al.

  Args:
    params: tree of arrays, such as `tree.split(KERNELS, params)[0]`.
    sparsity: fraction of all weights that are zero, `0 .. 1`.

  Returns:
    Tree like `params` of numbers in `0 .. 1`.

  Raises:
    ValueError: the sparsity is out of range.

  >>> shapes = [(784, 300), (300, 100), (100, 10)]
  >>> form = [jax.ShapeDtypeStruct(s, 'float32') for s in shapes]
  >>> [round(d, 6) for d in erdos_renyi_kernel(form, 0.9)]
  [0.079568, 0.230189, 1.0]

  References:
    Evci et al., Rigging the Lottery: Making All Tickets Winners, 2020,
    arXiv 1911.11134, section 3.
    Mocanu et al., Scalable training of artificial neural networks with adaptive
    sparse connectivity inspired by network science, 2018, arXiv 1707.04780,
    eq. 1.
  """
  _require_fraction(sparsity)
  leaves, treedef = jax.tree.flatten(params)
  sizes = [x.size for x in leaves]
  raw = [max(1, sum(x.shape)) / max(1, x.size) for x in leaves]
  dense = {i for i, size in enumerate(sizes) if not size}
  left = (1 - sparsity) * sum(sizes)
  eps = 0.0
  while len(dense) < len(leaves):
    open_ones = [i for i in range(len(leaves)) if i not in dense]
    eps = left / sum(raw[i] * sizes[i] for i in open_ones)
    largest = max(raw[i] for i in open_ones)
    if eps * largest <= 1:
      break
    full = next(i for i in open_ones if raw[i] == largest)
    dense.add(full)
    left -= sizes[full]
  found = [1.0 if i in dense else eps * r for i, r in enumerate(raw)]
  return jax.tree.unflatten(treedef, found)


def resolve_densities(densities: str | Densities) -> Densities:
  """The function that a name stands for; functions are passed through."""
  named = {'erdos_renyi_kernel': erdos_renyi_kernel, 'uniform': uniform}
  if callable(densities):
    return densities
  if densities not in named:
    raise ValueError(
      f'densities is {densities!r}; it must be one of {sorted(named)}, or a '
      'function (params, sparsity) -> tree of densities.'
    )
  return named[densities]


def active_counts(
  params: Any, sparsity: float, densities: str | Densities
) -> list[int]:
  """How many weights of each leaf are active, to the nearest.

  Raises:
    ValueError: densities that are no number in `0 .. 1` for each array.
  """
  values = resolve_densities(densities)(params, sparsity)
  if tree.paths(values) != tree.paths(params):
    raise ValueError(
      f'The densities are {values}; there must be one for each array of '
      f'{tree.paths(params)}.'
    )
  for value in jax.tree.leaves(values):
    _require_fraction(value, 'A density')
  return [
    round(d * x.size)
    for d, x in zip(
      jax.tree.leaves(values), jax.tree.leaves(params), strict=True
    )
  ]


def _require_fraction(value, name='sparsity'):
  if not (math.isfinite(value) and 0 <= value <= 1):
    raise ValueError(f'{name} is {value}; it must be a fraction in 0 .. 1.')

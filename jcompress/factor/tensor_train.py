"""Tensor train of a large dense kernel: cores along factored axes."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.numerics.wide import to_unit


def tensor_train_factors(
  w: Float[Array, '...'],
  in_shape: Sequence[int],
  out_shape: Sequence[int],
  rank: int,
) -> tuple[Float[Array, 'before m n after'], ...]:
  """Cores whose product is a matrix.

  `W[i, j] ~ G_1[i_1, j_1] .. G_d[i_d, j_d]`: the rows `i` are numbered by
  `in_shape`, the columns by `out_shape`, and each core holds one small matrix
  for each pair of digits. Found by one SVD after another from
  the left, `U` becoming the core: the squared error is the sum of what all of
  them cut off, at most `d - 1` times the least. The last core has the size.

  Spectra of trained matrices are flat and the loss is large: train the cores,
  see `low_rank`. What axes mean decides: flattened maps are `(height, width,
  channels)`.

  Args:
    w: `[prod(in_shape), prod(out_shape)]`, or of more axes that fold to it.
    in_shape: `m_1, .., m_d`.
    out_shape: `n_1, .., n_d`.
    rank: of each step at most, `>= 1`; a step takes as many as there are.

  Returns:
    `d` cores `[rank_(k-1), m_k, n_k, rank_k]`, the outer ranks one.

  Raises:
    ValueError: shapes that do not fit, or a rank below one.

  References:
    Oseledets, Tensor-Train Decomposition, 2011.
    Novikov et al., Tensorizing Neural Networks, 2015, arXiv 1509.06569.
  """
  ranks = train_ranks(w.shape, in_shape, out_shape, rank)
  sizes = list(zip(in_shape, out_shape, strict=True))
  if not w.size:
    shapes = [
      (a, m, n, b)
      for a, (m, n), b in zip(ranks[:-1], sizes, ranks[1:], strict=True)
    ]
    return tuple(jnp.zeros(s, w.dtype) for s in shapes)
  d = len(sizes)
  rest, exponent = to_unit(tree.replicated(w))
  rest = rest.reshape(*in_shape, *out_shape)
  order = [axis for k in range(d) for axis in (k, d + k)]
  rest = rest.transpose(order)
  cores = []
  steps = zip(sizes[:-1], ranks[:-2], ranks[1:-1], strict=True)
  for (m, n), before, after in steps:
    u, s, v = jnp.linalg.svd(
      rest.reshape(before * m * n, -1), full_matrices=False
    )
    cores.append(u[:, :after].reshape(before, m, n, after))
    rest = s[:after, None] * v[:after]
  last = jnp.ldexp(rest, exponent).reshape(ranks[-2], *sizes[-1], 1)
  return tuple(core.astype(w.dtype) for core in (*cores, last))


def train_ranks(
  shape: tuple[int, ...],
  in_shape: Sequence[int],
  out_shape: Sequence[int],
  rank: int,
) -> list[int]:
  """The ranks between the cores of a weight, ones at both ends.

  >>> train_ranks((24, 30), (2, 3, 4), (5, 3, 2), 20)
  [1, 10, 8, 1]

  Raises:
    ValueError: shapes that do not fit, or a rank below one.
  """
  ins, outs = math.prod(in_shape), math.prod(out_shape)
  folds = [math.prod(shape[:i]) for i in range(len(shape) + 1)]
  fits = len(in_shape) == len(out_shape) > 0 and ins in folds
  if not fits or ins * outs != math.prod(shape):
    raise ValueError(
      f'A weight of shape {tuple(shape)} is no matrix of {tuple(in_shape)} '
      f'inputs and {tuple(out_shape)} outputs: there must be as many of each, '
      'whose products are those of its first and of its last axes.'
    )
  if rank < 1:
    raise ValueError(f'rank is {rank}; it must be >= 1.')
  sizes = [m * n for m, n in zip(in_shape, out_shape, strict=True)]
  ranks, left = [1], ins * outs
  for size in sizes[:-1]:
    left //= max(1, size)
    ranks.append(max(1, min(rank, ranks[-1] * size, left)))
  return [*ranks, 1]

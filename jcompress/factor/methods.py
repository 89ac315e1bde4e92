"""The factorizations that there are, as static descriptions.

`low_rank(method)` trains the factors in place of a kernel, and `factorize` runs
them as layers of their own.
"""

import math
from collections.abc import Sequence

from jcompress.factor.method import Method, Plan, Stage
from jcompress.factor.separable import require_separable, separable_factors
from jcompress.factor.svd import require_rank, split_axes, svd_factors
from jcompress.factor.tucker2 import require_tucker2, tucker2_factors

_AXES = 'abcdefghijklmnop'  # of the kernel
_RANKS = 'ABCDEFGH'
_ONES = 'zyxwvutsrqZYXWVUTSRQ'  # axes of size one, summed over


def svd(rank: int, *, in_axes: Sequence[int] | None = None) -> Method:
  """Two factors by truncated SVD, see `svd_factors`.

  >>> svd(2).equation((8, 6)), svd(2).cost((8, 6)), svd(2).pays((8, 6))
  ('aA,Ab->ab', 28, True)
  >>> [stage.shape for stage in svd(2).stages((3, 3, 16, 32))]
  [(3, 3, 16, 2), (1, 1, 2, 32)]

  Args:
    rank: `1 .. min(in, out)`.
    in_axes: the axes that the layer sums over; without them all but the last,
      and the factors are kernels of the layer's kind.
  """
  axes = None if in_axes is None else tuple(in_axes)
  return Method(
    'svd', (rank,), (axes,), _svd, _svd_plan, _svd_shape, _svd_respond
  )


def separable(rank: int) -> Method:
  """A vertical and a horizontal convolution, see `separable_factors`.

  Args:
    rank: channels between the two.
  """
  return Method(
    'separable', (rank,), (), _separable, _separable_plan, _separable_shape
  )


def tucker2(rank_in: int, rank_out: int, *, sweeps: int = 50) -> Method:
  """To few channels, over the window, to all; see `tucker2_factors`.

  Args:
    rank_in: channels before the core.
    rank_out: channels behind it.
    sweeps: of the orthogonal iteration, at most.
  """
  ranks = rank_in, rank_out
  return Method(
    'tucker2', ranks, (sweeps,), _tucker2, _tucker2_plan, _tucker2_shape
  )


def _svd(method, kernel, key):
  del key
  return svd_factors(kernel, method.ranks[0], in_axes=method.options[0])


def _svd_respond(method, kernel, covariance):
  return svd_factors(
    kernel, method.ranks[0], covariance=covariance, in_axes=method.options[0]
  )


def _svd_plan(method, shape):
  (rank,), (axes,) = method.ranks, method.options
  ins, outs = split_axes(shape, axes)
  rows, columns = [shape[i] for i in ins], [shape[i] for i in outs]
  require_rank(rank, (math.prod(rows), math.prod(columns)), shape)
  ones = len(shape) - 2 if axes is None else 0
  out = _AXES[: len(shape)]
  left = ''.join(out[i] for i in ins) + _RANKS[0]
  right = _ONES[:ones] + _RANKS[0] + ''.join(out[i] for i in outs)
  return Plan(
    (
      Stage('first', (*rows, rank), left),
      Stage('last', (1,) * ones + (rank, *columns), right),
    ),
    out,
  )


def _svd_shape(method, shapes):
  (*rows, _), last = shapes
  if method.options[0] is None:
    return (*rows, last[-1])
  columns = last[1:]
  ins = [i % (len(rows) + len(columns)) for i in method.options[0]]
  sizes = dict(zip(ins, rows, strict=True))
  rest = iter(columns)
  total = range(len(rows) + len(columns))
  return tuple(sizes[i] if i in sizes else next(rest) for i in total)


def _separable(method, kernel, key):
  del key
  return separable_factors(kernel, method.ranks[0])


def _separable_plan(method, shape):
  (rank,) = method.ranks
  require_separable(shape, rank)
  h, w, n_in, n_out = shape
  return Plan(
    (
      Stage('vertical', (h, 1, n_in, rank), 'azcA'),
      Stage('horizontal', (1, w, rank, n_out), 'ybAd'),
    ),
    'abcd',
  )


def _separable_shape(method, shapes):
  del method
  (h, _, n_in, _), (_, w, _, n_out) = shapes
  return h, w, n_in, n_out


def _tucker2(method, kernel, key):
  del key
  return tucker2_factors(kernel, method.ranks, *method.options)


def _tucker2_plan(method, shape):
  require_tucker2(shape, method.ranks)
  a, b = method.ranks
  *window, n_in, n_out = shape
  n = len(window)
  out = _AXES[: n + 2]
  return Plan(
    (
      Stage('first', (1,) * n + (n_in, a), _ONES[:n] + out[n] + 'A'),
      Stage('core', (*window, a, b), out[:n] + 'AB'),
      Stage('last', (1,) * n + (b, n_out), _ONES[n : 2 * n] + 'B' + out[-1]),
    ),
    out,
  )


def _tucker2_shape(method, shapes):
  del method
  first, core, last = shapes
  return (*core[:-2], first[-2], last[-1])

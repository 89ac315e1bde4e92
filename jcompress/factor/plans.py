"""How the factors of each method hang together: names, shapes and letters."""

import math

from jcompress.factor.canonical import require_canonical
from jcompress.factor.depthwise import require_depthwise
from jcompress.factor.method import Plan, Stage
from jcompress.factor.separable import require_separable
from jcompress.factor.svd import require_rank, split_axes
from jcompress.factor.tensor_train import train_ranks
from jcompress.factor.tucker2 import require_tucker2

_AXES = 'abcdefghijklmnop'  # of the kernel
_RANKS = 'ABCDEFGHI'
_ONES = 'zyxwvutsrqZYXWVUTSRQ'  # axes of size one, which are summed over


def svd_plan(method, shape):
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


def svd_shape(method, shapes):
  (*rows, _), last = shapes
  if method.options[0] is None:
    return (*rows, last[-1])
  columns = last[1:]
  ins = [i % (len(rows) + len(columns)) for i in method.options[0]]
  sizes = dict(zip(ins, rows, strict=True))
  rest = iter(columns)
  total = range(len(rows) + len(columns))
  return tuple(sizes[i] if i in sizes else next(rest) for i in total)


def separable_plan(method, shape):
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


def separable_shape(method, shapes):
  del method
  (h, _, n_in, _), (_, w, _, n_out) = shapes
  return h, w, n_in, n_out


def tucker2_plan(method, shape):
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


def tucker2_shape(method, shapes):
  del method
  first, core, last = shapes
  return (*core[:-2], first[-2], last[-1])


def canonical_plan(method, shape):
  (rank,) = method.ranks
  require_canonical(shape, rank)
  *window, n_in, n_out = shape
  n, ones = len(window), (1,) * len(window)
  out = _AXES[: n + 2]
  # Of an axis of size one the first factor has the letter, none its own layer.
  first = ''.join(
    out[i] if size == 1 else _ONES[i] for i, size in enumerate(window)
  )
  stages = [Stage('first', (*ones, n_in, rank), first + out[n] + 'A')]
  for i, size in enumerate(window):
    if size != 1:
      letters = list(_ONES[:n])
      letters[i] = out[i]
      sizes = [*ones, 1, rank]
      sizes[i] = size
      name = ('vertical', 'horizontal')[i] if n == 2 else f'along{i}'
      axes = ''.join(letters) + _ONES[n] + 'A'
      stages.append(Stage(name, tuple(sizes), axes, groups=rank))
  last = _ONES[:n] + 'A' + out[-1]
  stages.append(Stage('last', (*ones, rank, n_out), last))
  return Plan(tuple(stages), out)


def canonical_shape(method, shapes):
  del method
  first, *along, last = shapes
  sizes = zip(first[:-2], *(s[:-2] for s in along), strict=True)
  return (*map(max, sizes), first[-2], last[-1])


def train_plan(method, shape):
  ins, outs, wanted = method.options
  if shape != wanted:
    raise ValueError(
      f'A weight of shape {shape} for a tensor train of {wanted}: give its '
      'shape, tensor_train(..., shape=...).'
    )
  ranks = train_ranks(shape, ins, outs, method.ranks[0])
  d = len(ins)
  if 2 * d > len(_AXES):
    raise ValueError(f'A tensor train has at most 8 cores, and this one {d}.')
  rows, columns = _AXES[:d], _AXES[d : 2 * d]
  links = _RANKS[: d + 1]
  pairs = zip(links[:-1], rows, columns, links[1:], strict=True)
  letters = [''.join(pair) for pair in pairs]
  stages = [
    Stage(f'core{k}', (ranks[k], ins[k], outs[k], ranks[k + 1]), axes)
    for k, axes in enumerate(letters)
  ]
  return Plan(tuple(stages), rows + columns)


def train_shape(method, shapes):
  del shapes
  return method.options[2]


def depthwise_plan(method, shape):
  if method.ranks != (1,):
    raise ValueError(
      f'depthwise has the rank {method.ranks[0]}; a channel has one filter: 1.'
    )
  require_depthwise(shape)
  h, w, n_in, n_out = shape
  return Plan(
    (
      Stage('depthwise', (h, w, 1, n_in), 'abzc', groups=n_in),
      Stage('pointwise', (1, 1, n_in, n_out), 'yxcd'),
    ),
    'abcd',
  )


def depthwise_shape(method, shapes):
  del method
  (h, w, _, n_in), (*_, n_out) = shapes
  return h, w, n_in, n_out

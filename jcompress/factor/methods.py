"""The factorizations that there are, as static descriptions.

`low_rank(method)` trains the factors in place of a kernel, and `factorize` runs
them as layers of their own.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jcompress.factor import plans
from jcompress.factor.canonical import canonical_factors
from jcompress.factor.depthwise import depthwise_factors
from jcompress.factor.method import Method
from jcompress.factor.separable import separable_factors
from jcompress.factor.svd import svd_factors
from jcompress.factor.tensor_train import tensor_train_factors
from jcompress.factor.tucker2 import tucker2_factors


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
    'svd', (rank,), (axes,), _svd, plans.svd_plan, plans.svd_shape, _svd_respond
  )


def separable(rank: int) -> Method:
  """A vertical and a horizontal convolution, see `separable_factors`.

  Args:
    rank: channels between the two.
  """
  return Method(
    'separable',
    (rank,),
    (),
    _separable,
    plans.separable_plan,
    plans.separable_shape,
  )


def depthwise(rank: int = 1) -> Method:
  """Each channel filtered by itself, then 1x1, see `depthwise_factors`.

  Args:
    rank: filters of a channel: 1.
  """
  return Method(
    'depthwise',
    (rank,),
    (),
    _depthwise,
    plans.depthwise_plan,
    plans.depthwise_shape,
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
    'tucker2',
    ranks,
    (sweeps,),
    _tucker2,
    plans.tucker2_plan,
    plans.tucker2_shape,
  )


def canonical(
  rank: int, *, ridge: float = 1e-6, starts: int = 8, sweeps: int = 300
) -> Method:
  """CP: to some channels, depthwise along each axis, to all.

  See `canonical_factors`.

  Args:
    rank: the channels between.
    ridge: that bounds the components.
    starts: of which the best is kept.
    sweeps: of each.
  """
  options = ridge, starts, sweeps
  return Method(
    'canonical',
    (rank,),
    options,
    _canonical,
    plans.canonical_plan,
    plans.canonical_shape,
  )


def tensor_train(
  in_shape: Sequence[int],
  out_shape: Sequence[int],
  rank: int,
  *,
  shape: Sequence[int] | None = None,
) -> Method:
  """Cores along factored axes of a dense layer, see `tensor_train_factors`.

  Args:
    in_shape: factors of the inputs.
    out_shape: as many of the outputs.
    rank: between two cores, at most.
    shape: of the kernel, where it is not the matrix `[in, out]`.
  """
  matrix = math.prod(in_shape), math.prod(out_shape)
  options = tuple(in_shape), tuple(out_shape), tuple(shape or matrix)
  return Method(
    'tensor_train',
    (rank,),
    options,
    _train,
    plans.train_plan,
    plans.train_shape,
  )


def method_of(record: Mapping[str, Any]) -> Method:
  """The method of which `Method.record` gave this.

  >>> method_of(tucker2(2, 3).record()) == tucker2(2, 3)
  True

  Args:
    record: `name`, `ranks` and `options`, from a file: anything is checked.

  Raises:
    ValueError: it is the record of no method.
  """
  try:
    ranks, options = list(record['ranks']), list(record['options'])
    if any(type(rank) is not int for rank in ranks):
      raise ValueError(f'The ranks are {ranks}; they must be ints.')
    return _MAKERS[record['name']](ranks, options)
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'{record!r} is the record of no factorization; it must have the name '
      f'({", ".join(_MAKERS)}), the ranks and the options that '
      '`Method.record` gives.'
    ) from error


def _made_canonical(ranks, options):
  (rank,), (ridge, starts, sweeps) = ranks, options
  return canonical(rank, ridge=ridge, starts=starts, sweeps=sweeps)


def _made_train(ranks, options):
  (rank,), (ins, outs, shape) = ranks, options
  return tensor_train(ins, outs, rank, shape=shape)


def _made_tucker2(ranks, options):
  (a, b), (sweeps,) = ranks, options
  return tucker2(a, b, sweeps=sweeps)


def _made_svd(ranks, options):
  (rank,), (in_axes,) = ranks, options
  return svd(rank, in_axes=in_axes)


def _made_separable(ranks, options):
  (rank,), () = ranks, options
  return separable(rank)


def _made_depthwise(ranks, options):
  (rank,), () = ranks, options
  return depthwise(rank)


_MAKERS = {
  'svd': _made_svd,
  'separable': _made_separable,
  'tucker2': _made_tucker2,
  'canonical': _made_canonical,
  'tensor_train': _made_train,
  'depthwise': _made_depthwise,
}


def _svd(method, kernel, key):
  del key
  return svd_factors(kernel, method.ranks[0], in_axes=method.options[0])


def _svd_respond(method, kernel, covariance):
  return svd_factors(
    kernel, method.ranks[0], covariance=covariance, in_axes=method.options[0]
  )


def _separable(method, kernel, key):
  del key
  return separable_factors(kernel, method.ranks[0])


def _depthwise(method, kernel, key):
  del method, key
  return depthwise_factors(kernel)


def _tucker2(method, kernel, key):
  del key
  return tucker2_factors(kernel, method.ranks, *method.options)


def _canonical(method, kernel, key):
  ridge, starts, sweeps = method.options
  return canonical_factors(
    kernel, method.ranks[0], key, ridge=ridge, starts=starts, sweeps=sweeps
  )


def _train(method, kernel, key):
  del key
  ins, outs, _ = method.options
  return tensor_train_factors(kernel, ins, outs, method.ranks[0])

"""Two factors of a kernel: nearest in its weights, or in its responses.

A kernel is folded to the matrix `[in, out]` of the layer: rows for what it sums
over, columns for what it gives. The factors run one after the other: of a dense
layer two dense layers, of a convolution one with fewer outputs and a `1 x 1`.
"""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.numerics import exact, spectral
from jcompress.numerics.wide import to_unit, wide

Pair = tuple[Float[Array, '...'], Float[Array, '...']]


def svd_factors(
  w: Float[Array, '...'],
  rank: int,
  *,
  covariance: Float[Array, 'n_in n_in'] | None = None,
  in_axes: Sequence[int] | None = None,
) -> Pair:
  """The best two factors of a rank: `W ~ left @ right`.

  Without a covariance `|W - left right|` is the least, and the factors share
  the singular values evenly. With one `|X (W - left right)|` is, for `C = X^T
  X`: `left right = W V V^T`, `V` the first eigenvectors of `W^T C W`. That is
  what whitening by a root of `C` gives, without its inverse, so that `C` may be
  singular. The squared error is the sum of the other eigenvalues.

  Args:
    w: kernel `[in, out]` or `[*window, in, out]`, or any with `in_axes`.
    rank: `1 .. min(in, out)`, `in` with the window; it pays below `in out / (in
      + out)`.
    covariance: `X^T X` of the layer's inputs, times any number, `in` in the
      order of the axes, as `curvature.input_hessian(...)[path][0]` has it; or
      a diagonal of weights of the inputs, such as their mean sizes, squared.
    in_axes: the axes that the layer sums over, `Layer.in_axes`.

  Returns:
    `left` `[*window, in, rank]` and `right` `[*ones, rank, out]`, kernels of
    the same kind of layer; given `in_axes`, `[*in_axes, rank]` and `[rank,
    *other_axes]`. In the dtype of `w`.

  Raises:
    ValueError: the rank is out of range, the axes or the covariance do not fit.

  >>> w = jnp.outer(jnp.arange(1.0, 4), jnp.ones(2))
  >>> left, right = svd_factors(w, 1)
  >>> (left @ right).round().tolist()
  [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]

  References:
    Denton et al., Exploiting Linear Structure Within Convolutional Networks for
    Efficient Evaluation, 2014, arXiv 1404.0736.
    Zhang et al., Accelerating Very Deep Convolutional Networks for
    Classification and Detection, 2015, arXiv 1505.06798.
    Wang et al., SVD-LLM, 2024, arXiv 2403.07378.
  """
  matrix, unfold = fold(w, in_axes)
  require_rank(rank, matrix.shape, w.shape)
  if covariance is None:
    left, right = spectral.balanced_factors(matrix, rank)
  else:
    left, right = _responding_factors(matrix, covariance, rank)
  return unfold(left.astype(w.dtype), right.astype(w.dtype))


def response_factors(
  w: Float[Array, '...'],
  bias: Float[Array, ' n_out'] | None,
  x: Float[Array, 'n n_in'],
  rank: int,
  *,
  y: Float[Array, 'n n_out'] | None = None,
  ridge: float = 1e-7,
  in_axes: Sequence[int] | None = None,
) -> tuple[
  Float[Array, '...'], Float[Array, '...'], Float[Array, ' n_out'] | None
]:
  """The factors and the bias that answer to some inputs best, in least squares.

  Of its own responses, `|X W + b - X left right - b'|` is the least: the
  projection of the centred responses on their first principal components. With
  targets `y`, the responses of the network before compression, and `x` the
  inputs after it, `|y - x left right - b'|`: reduced-rank regression. Taken
  layer by layer, each sees and mends what the former ones left.

  Args:
    w: kernel, as of `svd_factors`.
    bias: of the layer; None where it has none: then nothing is centred.
    x: inputs, a row for each example and position, as `Layer.unfold` has them.
    rank: as of `svd_factors`, and no more than rows.
    y: targets, with the bias in them.
    ridge: pulls the regression on `y` towards `w`, as a fraction of the mean
      square of the inputs, `>= 0`.
    in_axes: as of `svd_factors`.

  Returns:
    `left` and `right` as of `svd_factors`, and the bias, or None.

  Raises:
    ValueError: as of `svd_factors`; rows that do not fit; fewer than `rank`.

  References:
    Zhang et al., 2015, arXiv 1505.06798.
    Izenman, Reduced-rank regression for the multivariate linear model, 1975.
  """
  matrix, unfold = fold(w, in_axes)
  require_rank(rank, matrix.shape, w.shape)
  _require_rows(matrix, x, y, rank)
  matrix, x = wide(matrix), wide(x)
  center = jnp.zeros(x.shape[1:], x.dtype) if bias is None else jnp.mean(x, 0)
  rows = x - center[None]
  shift = exact.matmul(center, matrix) + (0 if bias is None else wide(bias))
  if y is not None:
    y = wide(y)
    shift = jnp.zeros(y.shape[1:], y.dtype) if bias is None else jnp.mean(y, 0)
    gram = exact.matmul(rows.T, rows)
    damping = jnp.diag(jnp.full(len(gram), jnp.mean(jnp.diagonal(gram))))
    missed = y - shift[None] - exact.matmul(rows, matrix)
    pull = exact.matmul(rows.T, missed)
    matrix += jnp.linalg.solve(gram + ridge * damping, pull)
  directions = spectral.leading(exact.matmul(rows, matrix).T, rank)
  left, right = exact.matmul(matrix, directions), directions.T
  if bias is not None:
    shift -= exact.matmul(exact.matmul(center, left), right)
    bias = shift.astype(bias.dtype)
  left, right = _even(left, right)
  return *unfold(left.astype(w.dtype), right.astype(w.dtype)), bias


def fold(
  w: Float[Array, '...'], in_axes: Sequence[int] | None = None
) -> tuple[Float[Array, 'n_in n_out'], Callable[..., Pair]]:
  """The matrix of a layer, and what gives its factors the form of kernels.

  Raises:
    ValueError: too few axes, or `in_axes` that are not axes, or all of them.
  """
  ins, outs = split_axes(w.shape, in_axes)
  rows, columns = [w.shape[i] for i in ins], [w.shape[i] for i in outs]
  matrix = tree.replicated(w).transpose(*ins, *outs)
  matrix = matrix.reshape(math.prod(rows), math.prod(columns))
  ones = [1] * (w.ndim - 2) if in_axes is None else []

  def unfold(left, right):
    rank = left.shape[1]
    return left.reshape(*rows, rank), right.reshape(*ones, rank, *columns)

  return matrix, unfold


def split_axes(
  shape: tuple[int, ...], in_axes: Sequence[int] | None
) -> tuple[list[int], list[int]]:
  """The axes that a layer sums over, all but the last unless given, and others.

  Raises:
    ValueError: too few axes, or `in_axes` that are not axes, or all of them.
  """
  n = len(shape)
  chosen = range(n - 1) if in_axes is None else in_axes
  ins = [i % n for i in chosen if -n <= i < n]
  outs = [i for i in range(n) if i not in ins]
  if not ins or not outs or len(set(ins)) < len(chosen):
    raise ValueError(
      f'A weight of shape {tuple(shape)} has no two factors with in_axes '
      f'{in_axes}: it needs at least one axis that is summed over and one that '
      'is not. Select the kernels only.'
    )
  return ins, outs


def require_rank(
  rank: int, matrix: tuple[int, ...], shape: tuple[int, ...]
) -> None:
  """Raises a `ValueError` unless the matrix of a kernel may have this rank."""
  most = min(matrix)
  if rank < 1 or (most and rank > most):
    raise ValueError(
      f'rank is {rank}; a weight of shape {tuple(shape)}, folded to '
      f'{tuple(matrix)}, allows 1 .. {most}.'
    )


def require_covariance(shape: tuple[int, ...], n_in: int) -> None:
  """Raises a `ValueError` unless these are second moments of so many inputs."""
  if shape != (n_in, n_in):
    raise ValueError(
      f'The covariance is {shape}; a layer that sums over {n_in} inputs needs '
      f'{(n_in, n_in)}.'
    )


def _responding_factors(matrix, covariance, rank):
  n_in, n_out = matrix.shape
  covariance = jnp.asarray(covariance)
  require_covariance(covariance.shape, n_in)
  matrix, exponent = to_unit(matrix)
  moments, _ = to_unit(tree.replicated(covariance))
  if n_out <= n_in:
    responses = exact.matmul(exact.matmul(matrix.T, moments), matrix)
    directions = spectral.leading_of_gram(responses, rank)
  else:
    values, vectors = jnp.linalg.eigh(moments)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0))[None]
    directions = spectral.leading(exact.matmul(matrix.T, root), rank)
  left, right = _even(exact.matmul(matrix, directions), directions.T)
  left = jnp.ldexp(left, exponent // 2)
  return left, jnp.ldexp(right, exponent - exponent // 2)


def _even(left, right):
  """The same product of components whose two sides are of one length.

  Of a component that is zero one side is not, or neither had a gradient.
  """
  sizes = jnp.linalg.norm(left, axis=0)
  root = jnp.sqrt(jnp.where(sizes > 0, sizes, 1))
  return left / root[None], right * root[:, None]


def _require_rows(matrix, x, y, rank):
  n = x.shape[0]
  if x.ndim != 2 or x.shape[1] != matrix.shape[0] or n < rank:
    raise ValueError(
      f'x is {x.shape}; a layer that sums over {matrix.shape[0]} inputs needs '
      f'[n, {matrix.shape[0]}], at least {rank} rows for a rank of {rank}.'
    )
  if y is not None and y.shape != (n, matrix.shape[1]):
    raise ValueError(f'y is {y.shape}; it must be {(n, matrix.shape[1])}.')

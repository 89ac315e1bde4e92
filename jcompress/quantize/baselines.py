"""What vector quantization is measured against: signs, and low rank."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import LowRank, Signs
from jcompress.leafwise import leafwise
from jcompress.numerics.spectral import balanced_factors
from jcompress.numerics.whole import require_whole
from jcompress.numerics.wide import mean_size, wide


class Factors(NamedTuple):
  """Two factors of a weight; latent of `truncated_svd`."""

  left: jax.Array  # [*in_axes, rank]
  right: jax.Array  # [rank, out]


def sign_quantize(scale: str = 'one') -> Compressor:
  """Keeps the sign of each weight: `view = scale` if `w >= 0`, else `-scale`.

  The latent is the scale, one number a weight array, and its gradient the sum
  over all entries, with their signs; the signs are frozen. Exact zeros become
  `+scale`. One bit a weight, and 32 for the scale in float32.

  >>> import jcompress as jc
  >>> comp = sign_quantize('mean')
  >>> comp.view(*comp.init(jnp.array([0.5, -2.0, 0.0, 1.5])))
  Array([ 1., -1.,  1.,  1.], dtype=float32)

  Args:
    scale: where the scale starts: 'one', as in the paper, or 'mean', the mean
      absolute weight, the best one in squared error.

  Raises:
    ValueError: another scale.

  References:
    Gong et al., Compressing Deep Convolutional Networks using Vector
    Quantization, 2014, arXiv 1412.6115, section 3.2.
  """
  if scale not in ('one', 'mean'):
    raise ValueError(f"scale is {scale!r}; it must be 'one' or 'mean'.")

  def init(w):
    w = jnp.asarray(w)
    start = jnp.ones([], w.dtype)
    if scale == 'mean':
      start = mean_size(w).reshape(()).astype(w.dtype)
    return start, w >= 0

  def view(scale, signs):
    # So that its gradient is summed in float32.
    values = Signs(signs, wide(scale)).decode()
    return values.astype(scale.dtype)

  def encode(scale, signs):
    return Signs(signs, scale)

  return leafwise(init, view, encode)


def truncated_svd(rank: int) -> Compressor:
  """The nearest weight of a rank in squared error, as two trained factors.

  `W = U S V^T`, `view = left @ right` with `left = U_r S_r^(1/2)` and `right =
  S_r^(1/2) V_r^T`. The latent are the factors, and the squared error at the
  start is the sum of the squares of the other singular values. A kernel `[m,
  n]` is stored in `rank (m + n)` numbers; one of more axes is folded to `[m,
  n]` before its last axis.

  Exact zeros do not stay zero.

  Args:
    rank: `1 .. min(m, n)`.

  Raises:
    ValueError: the rank is out of range, or a weight has fewer than two axes.

  References:
    Gong et al., Compressing Deep Convolutional Networks using Vector
      Quantization, 2014, arXiv 1412.6115, section 3.1.
    Eckart and Young, The Approximation of One Matrix by Another of Lower Rank,
      1936.
  """
  require_whole('rank', rank, 1)

  def init(w):
    if w.ndim < 2:
      raise ValueError(
        f'A weight of shape {w.shape} has no factors: it needs two axes or '
        'more. Select the kernels only.'
      )
    m, n = math.prod(w.shape[:-1]), w.shape[-1]
    if w.size and rank > min(m, n):
      raise ValueError(
        f'rank is {rank}; a weight of shape {w.shape}, folded to {(m, n)}, '
        f'allows 1 .. {min(m, n)}.'
      )
    matrix = tree.replicated(jnp.asarray(w)).reshape(m, n)
    left, right = balanced_factors(matrix, rank)
    left = left.reshape(*w.shape[:-1], rank)
    return Factors(left.astype(w.dtype), right.astype(w.dtype)), ()

  def encode(factors, state):
    del state
    left, right = factors
    shape = *left.shape[:-1], right.shape[1]
    return LowRank(left.reshape(-1, left.shape[-1]), right, shape)

  def view(factors, state):
    return encode(factors, state).decode()

  return leafwise(init, view, encode)

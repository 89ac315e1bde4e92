"""Trained rank pruning: kernels are cut to a low rank while they train."""

from jcompress.base import Compressor
from jcompress.factor.projected import projected
from jcompress.factor.scheme import (
  on_matrices,
  require_scheme,
)
from jcompress.numerics.spectral import energetic


def trained_rank(
  energy: float, *, every: int = 20, scheme: str = 'svd'
) -> Compressor:
  """Cuts each kernel to a low rank every few steps, and trains freely between.

  The rank is the smallest one that keeps a fraction of the sum of the squared
  singular values, so that each layer finds its own. Training between lets the
  network answer to what is to be cut off in the end. At `init` nothing is cut.
  Xu et al. add a nuclear norm, see `nuclear_norm`. What is shipped are the
  dense weights, cut: factor them at the rank that they have. Exact zeros do not
  stay zero.

  Args:
    energy: that stays, `0 .. 1`.
    every: cuts in each `every`-th call of `update`.
    scheme: which matrix a convolution is: `'svd'`, `[height width in, out]`, or
      `'separable'`, `[height in, width out]`: as what will cut it wants.

  Raises:
    ValueError: a number out of range, another scheme; in `init`, an array that
      is no kernel.

  References:
    Xu et al., Trained Rank Pruning for Efficient Deep Neural Networks, 2019,
    arXiv 1812.02402.
  """
  if not 0 < energy <= 1 or every < 1:
    raise ValueError(
      f'energy is {energy} and every {every}; energy must be > 0 and at most '
      '1, and every >= 1.'
    )
  require_scheme(scheme)

  def cut(w):
    return on_matrices(lambda m: energetic(m, energy), w, scheme)

  return projected(lambda w, calls: cut(w), every, ship=cut)

"""Trained rank pruning: kernels are cut to a low rank while they train."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress.base import Compressor, no_penalty
from jcompress.encoded import Dense
from jcompress.factor.scheme import (
  on_matrices,
  require_kernels,
  require_scheme,
)
from jcompress.numerics.spectral import energetic
from jcompress.passing import checked


class RankState(NamedTuple):
  calls: jax.Array  # of update so far, int32


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

  def init(params):
    require_kernels(params)
    return params, RankState(jnp.zeros([], jnp.int32))

  def view(w, state):
    del state
    return w

  def encode(w, state):
    del state
    dense: Any = Dense
    return jax.tree.map(dense, cut(w))

  def update(w, state, grads):
    del grads
    calls = state.calls + 1
    w = jax.lax.cond(calls % every == 0, lambda: cut(w), lambda: w)
    return w, RankState(calls)

  return checked(Compressor(init, view, encode, no_penalty, update))

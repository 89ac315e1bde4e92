"""Low-rank adaptation: a frozen kernel, and two small factors that train."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor, Leaf
from jcompress.encoded import Dense
from jcompress.factor.svd import fold
from jcompress.numerics import exact
from jcompress.numerics.wide import wide
from jcompress.passing import checked


class Adapter(NamedTuple):
  """What trains of one kernel; latent of `low_rank_adapt`."""

  left: jax.Array  # [*window, in, rank]
  right: jax.Array  # [*ones, rank, out]


def low_rank_adapt(rank: int, alpha: float, *, seed: int = 0) -> Compressor:
  """Trains `W + (alpha / rank) A B` with the kernel `W` frozen.

  `A` is Gaussian with the variance of one input's share, and `B` zero, so that
  the network is at first what it was. The latent are `A` and `B`, the kernels
  are in the state; what is shipped is the sum, dense.

  Exact zeros do not stay zero.

  Args:
    rank: of the change, `>= 1`.
    alpha: `> 0`: how far a change of the factors goes; the quotient `alpha /
      rank` is fixed here, so that a learning rate serves several ranks.
    seed: of the draws; each array has its own.

  Raises:
    ValueError: an argument out of range; in `init`, an array of fewer than two
      axes.

  References:
    Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021, arXiv
    2106.09685.
  """
  if rank < 1 or not 0 < alpha < float('inf'):
    raise ValueError(
      f'rank is {rank} and alpha {alpha}; they must be >= 1 and > 0.'
    )

  def init(params):
    leaves, treedef = jax.tree.flatten(params)
    key = jax.random.key(seed)
    adapters = [
      Leaf(_adapter(w, jax.random.fold_in(key, i), rank))
      for i, w in enumerate(leaves)
    ]
    return treedef.unflatten(adapters), params

  def view(latent, state):
    add = lambda w, adapter: _adapted(w, adapter.value, alpha / rank)
    return jax.tree.map(add, state, latent)

  def encode(latent, state):
    dense: Any = Dense
    return jax.tree.map(dense, view(latent, state))

  return checked(Compressor(init, view, encode))


def _adapter(w, key, rank):
  matrix, unfold = fold(w)
  n_in, n_out = matrix.shape
  left = jax.random.normal(key, (n_in, rank), jnp.float32) / max(1, n_in) ** 0.5
  right = jnp.zeros((rank, n_out), jnp.float32)
  return Adapter(*unfold(left.astype(w.dtype), right.astype(w.dtype)))


def _adapted(w, adapter, scale):
  left, right = (wide(x) for x in adapter)
  left = left.reshape(-1, left.shape[-1])
  right = right.reshape(left.shape[1], -1)
  change = scale * exact.matmul(left, right).reshape(w.shape)
  return (wide(w) + tree.placed_as(change, w)).astype(w.dtype)

"""Training for the coder: weights pay for the bits of their codes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.base import Compressor
from jcompress.leafwise import leafwise
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.whole import require_whole
from jcompress.quantize.learned_step import (
  LearnedStepState,
  code_range,
  grid_functions,
  nearest_codes,
)

_SEEN = 0.5  # how often a code counts as seen before it is


class EntropyPenalizedState(NamedTuple):
  """The state of one array."""

  grid: LearnedStepState
  lengths: jax.Array  # of the codes, `[2^bits]` float32, in bits
  calls: jax.Array  # of update, int32


def entropy_penalized(
  strength: float, bits: int = 6, *, every: int = 10, keep_zeros: bool = False
) -> Compressor:
  """Rounds weights to a trained grid, and penalizes the bits of their codes.

  The grid is that of `learned_step`, one step an array. The penalty is
  `strength` times the expected code length: a code seen `n_k` times among `n`
  takes `-log2((n_k + 1/2) / (n + 2^bits / 2))` bits, for each array by its own
  histogram, which is what an entropy coder will need. Between two codes the
  length is interpolated, so that a weight feels on which side the cheaper code
  lies; with time most weights become zeros, which cost little. Weights that are
  zero at `init` cost bits but stay zero: it chains with pruning.

  The penalty does not know the loss of a code, `strength` does: the loss that a
  bit is worth, such as `1e-6`. Weights need some thousand steps to move.

  Args:
    strength: of the penalty, `>= 0`, in units of the loss a bit.
    bits: of a code before it is coded, `2 .. 12`; outer codes remain unused.
    every: the histogram is counted anew in each `every`-th call of `update`.
    keep_zeros: see `learned_step`.

  Raises:
    ValueError: a number out of range.

  References:
    Oktay et al., Scalable Model Compression by Entropy Penalized
      Reparameterization, 2020, arXiv 1906.06624: a learned density and an
      affine decoder; here the density is the histogram, the decoder a step.
    Choi et al., 2017, arXiv 1612.01543, section 4: the cost of a code is the
      logarithm of its frequency.
  """
  require_whole('bits', bits, 2, 12)
  require_whole('every', every, 1)
  if not strength >= 0:
    raise ValueError(f'strength is {strength}; it must be at least 0.')
  init_grid, view_grid, encode_grid = grid_functions(bits, None, keep_zeros)
  ends = code_range(bits, signed=True)

  def counted(latent, grid):
    codes, _ = nearest_codes(latent.w, latent.step, ends)
    codes = tree.replicated(jnp.where(grid.live, codes, 0)).astype(jnp.int32)
    codes = codes.reshape(-1)
    counts = jnp.zeros(2**bits, jnp.float32).at[codes - ends[0]].add(1)
    return code_lengths(counts)

  def init(w):
    latent, grid = init_grid(w)
    state = EntropyPenalizedState(
      grid, counted(latent, grid), jnp.zeros([], jnp.int32)
    )
    return latent, state

  def view(latent, state):
    return view_grid(latent, state.grid)

  def encode(latent, state):
    return encode_grid(latent, state.grid)

  def penalty(latent, state):
    ratio = _ratio(latent, state.grid, ends)
    return strength * jnp.sum(_length(ratio, state.lengths, ends))

  def update(latent, state, grads):
    del grads
    calls = state.calls + 1
    lengths = jax.lax.cond(
      calls % every == 0,
      lambda: counted(latent, state.grid),
      lambda: state.lengths,
    )
    return latent, EntropyPenalizedState(state.grid, lengths, calls)

  return leafwise(init, view, encode, penalty, update)


def code_lengths(counts: Float[Array, ' k']) -> Float[Array, ' k']:
  """Bits of codes that were seen so often, and half a time more."""
  total = jnp.sum(counts + _SEEN)
  return jnp.log2(total) - jnp.log2(counts + _SEEN)


def _ratio(latent, grid, ends):
  """Weights in steps, zero where they stay so.

  The gradient reaches the step as that of the loss does: times the same scale.
  """
  step = straight_through(latent.step, latent.step * grid.gradient_scale)
  size = jnp.maximum(jnp.abs(step), jnp.finfo(jnp.float32).tiny)
  ratio = jnp.where(grid.live, latent.w.astype(jnp.float32) / size, 0)
  return jnp.clip(ratio, *ends)


def _length(ratio, lengths, ends):
  """Bits of the nearest code; the slope is that between the two around it."""
  at = jax.lax.stop_gradient(ratio)
  low = jnp.clip(jnp.floor(at), ends[0], ends[1] - 1)
  place = (low - ends[0]).astype(jnp.int32)
  nearest = (jnp.round(at) - ends[0]).astype(jnp.int32)
  below, above, nearest = (
    lengths.at[x].get(mode='clip', out_sharding=jax.typeof(x).sharding)
    for x in (place, place + 1, nearest)
  )
  return straight_through(nearest, (above - below) * ratio)

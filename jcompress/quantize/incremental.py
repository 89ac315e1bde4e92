"""Incremental quantization: in turns, weights freeze on powers of two."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.base import Compressor
from jcompress.encoded import Codebook
from jcompress.leafwise import leafwise
from jcompress.mask import live_weights
from jcompress.numerics.counts import nearest_share
from jcompress.numerics.whole import require_whole
from jcompress.prune.threshold import largest_mask


class IncrementalState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  top: jax.Array  # n1: the largest level is 2^n1, int32
  live: jax.Array  # of the weight, bool: false where it was zero at init
  frozen: jax.Array  # of the weight, bool
  value: jax.Array  # of the weight: its level where it is frozen


def incremental_quantize(
  bits: int = 5,
  *,
  every: int,
  portions: Sequence[float] = (0.5, 0.75, 0.875, 1.0),
  keep_zeros: bool = False,
) -> Compressor:
  """Freezes weights on powers of two, the largest first, and retrains the rest.

  The levels of an array are `0` and `+-2^n` for `n2 <= n <= n1`, with

      n1 = floor(log2(4 max|w| / 3)),   n2 = n1 + 1 - 2^(bits-2)

  of the weights at `init`. A weight goes to the nearest of them. `init` freezes
  the first portion of each array; in turns of `every` calls, `update` freezes
  up to the next one. Frozen weights get no gradient and never change again.
  What is not frozen yet is rounded all the same when it is shipped: ship after
  the last portion, or measure what was decoded.

  Weights that are zero at `init` stay zero, and no portion counts them.

  Args:
    bits: `2 .. 8`, one of them for the zero.
    every: calls of `update` from one portion to the next.
    portions: of the weights that are frozen, rising, in `0 .. 1`.
    keep_zeros: whether an array that is all zeros at `init` stays so. Otherwise
      it trains, with `1/2` for the largest level, and freezes no part before it
      has moved.

  Raises:
    ValueError: an argument out of range, portions that do not rise.

  References:
    Zhou et al., Incremental Network Quantization, 2017, arXiv 1702.03044.
  """
  require_whole('bits', bits, 2, 8)
  require_whole('every', every, 1)
  _require_rising(portions)
  shares = np.array(portions, np.float32)
  sizes = 2 ** (bits - 2)  # how many powers of two a sign has

  def lowest(top, dtype):
    # Below the smallest normal number there would be no exact levels.
    return jnp.maximum(top + 1 - sizes, jnp.finfo(dtype).minexp)  # n2

  def freeze(w, live, frozen, value, top, share):
    size = jnp.abs(w.astype(jnp.float32))
    rank = jnp.where(live, jnp.maximum(size, jnp.finfo(jnp.float32).tiny), 0)
    rank = jnp.where(frozen, jnp.inf, rank)
    total = jnp.sum(live, dtype=jnp.int32)
    now = largest_mask(rank, nearest_share(share, total)) & live & ~frozen
    now &= jnp.any(size > 0)  # zeros have no order, and more of them to come
    level = nearest_power(w, lowest(top, w.dtype), top)
    return frozen | now, jnp.where(now, level, value)

  def init(w):
    live = live_weights(w, keep_zeros)
    largest = jnp.max(jnp.abs(w.astype(jnp.float32)), initial=0)
    mantissa, exponent = jnp.frexp(largest)
    top = exponent - (mantissa < 0.75).astype(jnp.int32)  # eq. 2
    top = jnp.minimum(top, jnp.finfo(w.dtype).maxexp - 1)
    none, zeros = jnp.zeros_like(live), jnp.zeros_like(w)
    frozen, value = freeze(w, live, none, zeros, top, jnp.asarray(shares[0]))
    calls = jnp.zeros([], jnp.int32)
    return w, IncrementalState(calls, top, live, frozen, value)

  def view(w, state):
    free = jnp.where(state.live, w, jnp.zeros([], w.dtype))
    return jnp.where(state.frozen, state.value, free)

  def update(w, state, grad):
    del grad
    calls = state.calls + 1
    turn = calls // every
    share = jnp.asarray(shares)[jnp.minimum(turn, len(shares) - 1)]
    frozen, value = jax.lax.cond(
      (calls % every == 0) & (turn < len(shares)),
      lambda: freeze(
        w, state.live, state.frozen, state.value, state.top, share
      ),
      lambda: (state.frozen, state.value),
    )
    state = state._replace(calls=calls, frozen=frozen, value=value)
    return view(w, state), state

  def encode(w, state):
    low = lowest(state.top, w.dtype)
    level = nearest_power(view(w, state), low, state.top)
    _, exponent = jnp.frexp(level.astype(jnp.float32))
    codes = exponent - low + jnp.where(level < 0, sizes, 0)
    powers = jnp.minimum(low + jnp.arange(sizes, dtype=jnp.int32), state.top)
    powers = _power(powers).astype(w.dtype)
    centers = jnp.concatenate([jnp.zeros(1, w.dtype), powers, -powers])
    return Codebook(centers, jnp.where(level == 0, 0, codes).astype(jnp.uint8))

  return leafwise(init, view, encode, update=update)


def nearest_power(w: jax.Array, low: jax.Array, top: jax.Array) -> jax.Array:
  """The nearest of `0` and `+-2^n`, `low <= n <= top`; upwards from the middle.

  Args:
    w: weights, of any floating dtype.
    low: least exponent, an integer.
    top: largest exponent; larger weights go to `2^top`.

  References:
    Zhou et al., 2017, arXiv 1702.03044, eq. 4.
  """
  x = w.astype(jnp.float32)
  # Not floor(log2(x)), which float32 gets wrong for some powers of two.
  mantissa, exponent = jnp.frexp(jnp.abs(x))
  nearest = jnp.clip(exponent - (mantissa < 0.75).astype(jnp.int32), low, top)
  size = jnp.where((exponent >= low) & (x != 0), _power(nearest), 0)
  return jnp.where(x < 0, -size, size).astype(w.dtype)


def _power(exponent):
  return jnp.ldexp(jnp.float32(1), exponent)


def _require_rising(portions):
  rising = all(a < b for a, b in itertools.pairwise((0, *portions)))
  if len(portions) == 0 or not rising or portions[-1] > 1:
    raise ValueError(
      f'portions is {tuple(portions)}; it must rise within 0 .. 1, as in '
      '(0.5, 0.75, 0.875, 1.0).'
    )

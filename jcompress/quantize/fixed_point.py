"""Training in fixed point: every number a multiple of 2^-FL, and no other copy.

What is smaller than half a step of the grid is lost by rounding to the nearest;
stochastic rounding keeps it in the mean, `E[Convert(x)] = x`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jcompress.arithmetic.fixed_point_ops import (
  fixed_point_round,
  require_format,
  require_holds,
  split_key,
)
from jcompress.base import Compressor
from jcompress.encoded import Dense, Quantized
from jcompress.mask import live_weights
from jcompress.passing import checked

_ROUNDINGS = ('nearest', 'stochastic')


class FixedPointState(NamedTuple):
  key: Any  # of the draws; () where rounding is to the nearest
  live: Any  # of the params, bool: false where a weight stays zero
  zero: Any  # of the params: a zero of the dtype in which a weight is shown


def fixed_point(
  integer_bits: int,
  fraction_bits: int,
  *,
  rounding: str = 'nearest',
  keep_zeros: bool = False,
  seed: int = 0,
) -> Compressor:
  """Keeps the weights in fixed point while they train: `W <- Convert(W + u)`.

  There is no float copy behind them: the latent lies on the grid, and what the
  optimizer adds is rounded away or not by `update`. Weights beyond the range
  saturate at its ends.

  The latent is float32 for params of any dtype, because the sum of the
  optimizer must not be rounded before Convert sees it. Stochastic rounding acts
  on its bits below the grid, of which large weights have `24 - IL - FL`.

  Args:
    integer_bits: IL, sign included, `>= 1`.
    fraction_bits: FL, `>= 0`. `IL + FL` is at most 24; up to 16 bits are
      shipped as codes, more as floats.
    rounding: `'nearest'` or `'stochastic'`.
    keep_zeros: whether an array that is all zeros at `init`, as biases often
      are, stays so; otherwise it trains. The zeros of other arrays stay zero.
    seed: of the draws; each call of `update` has its own. Two of these in a
      `partition` need two seeds.

  Raises:
    ValueError: bits out of range, an unknown rounding; in `init`, params of a
      dtype that cannot hold the grid (`IL + FL` above 9 in bfloat16, above 12
      in float16).

  References:
    Gupta et al., Deep Learning with Limited Numerical Precision, 2015,
    arXiv 1502.02551.
  """
  require_format(integer_bits, fraction_bits)
  require_rounding(rounding)

  def convert(w, key):
    return convert_tree(w, integer_bits, fraction_bits, key)

  def init(params):
    params = jax.tree.map(jnp.asarray, params)
    for w in jax.tree.leaves(params):
      require_holds(w.dtype, integer_bits, fraction_bits)
    live = jax.tree.map(lambda w: live_weights(w, keep_zeros), params)
    zero = jax.tree.map(lambda w: jnp.zeros([], w.dtype), params)
    key, here = split_key(_start_key(rounding, seed), 2)
    w = jax.tree.map(lambda w: w.astype(jnp.float32), params)
    return convert(w, here), FixedPointState(_as_state(key), live, zero)

  def view(w, state):
    # Of a latent on the grid nothing is rounded; other latents are those of an
    # earlier compressor in a chain.
    _, _, here = split_key(_of_state(state.key), 3)
    return jax.tree.map(
      lambda x, live, zero: jnp.where(live, x.astype(zero.dtype), zero),
      convert(w, here),
      state.live,
      state.zero,
    )

  def update(w, state, grads):
    del grads
    key, here, _ = split_key(_of_state(state.key), 3)
    w = jax.tree.map(
      lambda x, live: jnp.where(live, x, 0.0), convert(w, here), state.live
    )
    return w, state._replace(key=_as_state(key))

  def encode(w, state):
    def ship(x):
      if integer_bits + fraction_bits > 16:
        return Dense(x)
      codes = (x.astype(jnp.float32) * 2**fraction_bits).astype(jnp.int16)
      return Quantized(codes, jnp.float32(2.0**-fraction_bits), dtype=x.dtype)

    return jax.tree.map(ship, view(w, state))

  return checked(Compressor(init, view, encode, update=update))


class FixedPointUpdatesState(NamedTuple):
  key: Any  # of the draws; () where rounding is to the nearest


def fixed_point_updates(
  integer_bits: int,
  fraction_bits: int,
  *,
  rounding: str = 'nearest',
  seed: int = 0,
) -> optax.GradientTransformation:
  """Rounds the updates, `Convert(lr * dW)`: the last link of an optax chain.

  Args:
    integer_bits: IL, see `fixed_point`.
    fraction_bits: FL.
    rounding: `'nearest'` or `'stochastic'`.
    seed: of the draws, which are not those of a `fixed_point` of that seed.

  Raises:
    ValueError: bits out of range, an unknown rounding.

  References:
    Gupta et al., 2015, arXiv 1502.02551, section 4.
  """
  require_format(integer_bits, fraction_bits)
  require_rounding(rounding)

  def init(params):
    del params
    key = _start_key(rounding, seed)
    # Far from what `split` folds in, and `fixed_point` draws with.
    key = key if key is None else jax.random.fold_in(key, 2**31)
    return FixedPointUpdatesState(_as_state(key))

  def update(updates, state, params=None):
    del params
    key, here = split_key(_of_state(state.key), 2)
    updates = convert_tree(updates, integer_bits, fraction_bits, here)
    return updates, FixedPointUpdatesState(_as_state(key))

  return optax.GradientTransformation(init, update)


def convert_tree(
  tree: Any, integer_bits: int, fraction_bits: int, key: jax.Array | None
) -> Any:
  """`fixed_point_round` of each leaf, with a key of its own."""
  leaves, treedef = jax.tree.flatten(tree)
  keys = split_key(key, len(leaves))
  converted = [
    fixed_point_round(x, integer_bits, fraction_bits, key=k)
    for x, k in zip(leaves, keys, strict=True)
  ]
  return jax.tree.unflatten(treedef, converted)


def require_rounding(rounding: str) -> None:
  if rounding not in _ROUNDINGS:
    raise ValueError(f'rounding is {rounding!r}; it must be in {_ROUNDINGS}.')


def _start_key(rounding, seed):
  return jax.random.key(seed) if rounding == 'stochastic' else None


def _as_state(key):
  return () if key is None else key


def _of_state(key):
  return None if isinstance(key, tuple) else key

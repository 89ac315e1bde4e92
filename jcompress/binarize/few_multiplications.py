"""Few multiplications: draws of two or three weights, shifts backward."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.base import Compressor
from jcompress.binarize.latent import (
  clip_to,
  distinct_keys,
  draw_key,
  fans,
  happens,
  next_key,
  require_choice,
)
from jcompress.encoded import Codebook, Dense, Signs
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import hard_sigmoid, straight_through


class DrawState(NamedTuple):
  key: jax.Array  # of the weights of this step
  live: jax.Array  # of the weight, bool: false where it was zero at init


def few_multiplications(
  weights: str = 'ternary',
  *,
  ships: str = 'weights',
  keep_zeros: bool = False,
  seed: int = 0,
) -> Compressor:
  """Shows the model drawn weights, so that its products are sums.

  With `W0 = sqrt(6 / (n_in + n_out)) / 2`, ternary connect draws
  `sgn(w) W0` with probability `|w| / W0`, else zero; binary connect draws `W0`
  with probability `(w / W0 + 1) / 2`, else `-W0`. Both have the mean `w`. One
  draw a step, the same forward and backward; the gradient reaches the real
  weights as it is, and these are clipped to `-W0 .. W0` at the start and after
  each step. Weights that are zero at `init` stay zero with ternary connect.

  Args:
    weights: `'ternary'` or `'binary'`.
    ships: `'weights'`, the real ones at their full width, as the paper tests;
      or `'codes'`, the nearest of the two or three values.
    keep_zeros: whether an array that is all zeros at `init` stays so with
      ternary connect; otherwise it trains.
    seed: of the draws.

  Raises:
    ValueError: `weights` or `ships` is something else; in `init`, an array that
      is not a kernel `[..., in, out]`.

  References:
    Lin et al., Neural Networks with Few Multiplications, 2016,
    arXiv 1510.03009.
  """
  require_choice('weights', weights, ('ternary', 'binary'))
  require_choice('ships', ships, ('weights', 'codes'))
  is_ternary = weights == 'ternary'

  def init(w):
    live = live_weights(w, keep_zeros) | (not is_ternary)
    return clip_to(w, _bound(w)), DrawState(jax.random.key(seed), live)

  def view(w, state):
    bound, key = _bound(w), draw_key(state.key)
    x = w.astype(jnp.float32) / bound
    if is_ternary:
      drawn = jnp.where(happens(key, jnp.abs(x)), jnp.sign(x), 0)
    else:
      drawn = jnp.where(happens(key, hard_sigmoid(x)), 1.0, -1.0)
    value = apply_mask((bound * drawn).astype(w.dtype), state.live)
    return straight_through(value, apply_mask(w, state.live))

  def update(w, state, grad):
    del grad
    w = apply_mask(clip_to(w, _bound(w)), state.live)
    return w, state._replace(key=next_key(state.key))

  def encode(w, state):
    bound = jnp.asarray(_bound(w), w.dtype)
    w = apply_mask(clip_to(w, _bound(w)), state.live)
    if ships == 'weights':
      return Dense(w)
    if not is_ternary:
      return Signs(w >= 0, bound)
    codes = jnp.where(jnp.abs(w) > bound / 2, jnp.sign(w) + 1, 1)
    centers = jnp.stack([-bound, jnp.zeros_like(bound), bound])
    return Codebook(centers, codes.astype(jnp.uint8))

  return distinct_keys(leafwise(init, view, encode, update=update))


def _bound(w):
  return (6 / max(1, sum(fans(w.shape)))) ** 0.5 / 2


def power_of_two(
  key: jax.Array,
  x: Float[Array, '*shape'],
  *,
  low: int | None = None,
  high: int | None = None,
) -> Float[Array, '*shape']:
  """One of the two powers of two around each number, drawn, with its sign.

  `sgn(x) 2^e`, where `e` is `floor(log2 |x|)` or one more, such that the mean
  is `x`; zero stays zero. What would overflow gets the largest power of two of
  its dtype.

  Args:
    key: of the draws.
    x: what is rounded.
    low: least exponent; what is smaller in magnitude becomes `2^low`, and the
      mean is no longer `x`. The paper's convolutions use -4.
    high: largest exponent, likewise; 3 in the paper.

  >>> power_of_two(jax.random.key(0), jnp.array([1.0, -0.25, 0.0])).tolist()
  [1.0, -0.25, 0.0]

  References:
    Lin et al., Neural Networks with Few Multiplications, 2016,
    arXiv 1510.03009.
  """
  fraction, exponent = jnp.frexp(jnp.abs(x).astype(jnp.float32))
  # The fraction lies in 1/2 .. 1, and |x| / 2^floor in 1 .. 2.
  up = happens(key, 2 * fraction - 1)
  exponent = exponent - 1 + up.astype(jnp.int32)
  exponent = jnp.clip(exponent, low, high)
  exponent = jnp.minimum(exponent, jnp.finfo(x.dtype).maxexp - 1)
  power = jnp.sign(x) * jnp.ldexp(jnp.float32(1), exponent)
  return jnp.where(x == 0, 0, power).astype(x.dtype)


def quantized_backprop(
  op: Callable[[jax.Array, jax.Array], jax.Array],
  *,
  low: int | None = None,
  high: int | None = None,
) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
  """An operation whose weight gradient sees inputs rounded to powers of two.

  Args:
    op: `(x, w) -> y`, linear in each, such as `jnp.matmul` or a convolution.
    low: least exponent, see `power_of_two`.
    high: largest exponent, see `power_of_two`.

  Returns:
    A function of `x, w, key` with the value of `op(x, w)`. The gradient of `x`
    is that of `op`; that of `w` is that of `op(power_of_two(key, x), w)`, whose
    products are shifts and whose mean is the gradient of `op`. Give each layer
    and step a key of its own.

  References:
    Lin et al., Neural Networks with Few Multiplications, 2016,
    arXiv 1510.03009.
  """

  @jax.custom_vjp
  def call(x, w, key):
    del key
    return op(x, w)

  def forward(x, w, key):
    return op(x, w), (x, w, key)

  def backward(residuals, grad):
    x, w, key = residuals
    rounded = power_of_two(key, x, low=low, high=high)
    (to_x,) = jax.vjp(lambda x: op(x, w), x)[1](grad)
    (to_w,) = jax.vjp(lambda w: op(rounded, w), w)[1](grad)
    return to_x, to_w, None

  call.defvjp(forward, backward)
  return call

"""Training under distortions: networks that survive what is done to weights."""

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
  happens,
  look_up,
  next_key,
)
from jcompress.encoded import Codebook, Sparse
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import hard_sigmoid, straight_through
from jcompress.numerics.whole import require_whole


class Distortion(NamedTuple):
  """What is done to weights, on the scale on which they lie in `-1 .. 1`.

  Attributes:
    apply: `(key, x) -> x` in float32, or where there are levels their indices.
    levels: all the values that it gives, where they are few.
  """

  apply: Callable[[jax.Array, jax.Array], jax.Array]
  levels: tuple[float, ...] = ()

  def __call__(
    self, key: jax.Array, x: Float[Array, '*shape']
  ) -> Float[Array, '*shape']:
    out = self.apply(key, x)
    return look_up(jnp.float32(self.levels), out) if self.levels else out


class DistortState(NamedTuple):
  key: jax.Array  # of the draws of this step
  live: jax.Array  # of the weight, bool: false where it was zero at init


def distort(
  train: Distortion,
  *,
  test: Distortion | None = None,
  scale: str | float = 'max',
  keep_zeros: bool = False,
  seed: int = 0,
) -> Compressor:
  """Shows the model distorted weights: `view = a P(w / a)`.

  The gradient reaches the weights as it is; after the optimizer's step they are
  clipped. Weights that are zero at `init` stay zero; without such,
  `distort(stochastic_signs(), scale=1.0)` draws as stochastic BinaryConnect.

  Args:
    train: the distortion `P` under which the network is trained.
    test: the distortion of what is shipped; `train`, with the draw that the
      model has seen last, if not given.
    scale: `a`: the largest magnitude of the array (`'max'`; weights are clipped
      to `-1 .. 1`), or a number, to which weights are clipped, too.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.
    seed: of the draws.

  Raises:
    ValueError: `scale` is neither `'max'` nor a positive number.

  References:
    Merolla et al., Deep neural networks are robust to weight binarization and
    other non-linear distortions, 2016, arXiv 1606.01981.
  """
  if scale != 'max' and (isinstance(scale, str) or not scale > 0):
    raise ValueError(f"scale is {scale!r}; it must be 'max' or positive.")
  bound = 1.0 if isinstance(scale, str) else float(scale)

  def largest(w):
    if scale != 'max':
      return jnp.float32(bound)
    return jnp.max(jnp.abs(w.astype(jnp.float32)), initial=0)

  def distorted(distortion, w, state):
    """What is shown, as codes and centers where there are levels."""
    a = largest(w)
    x = w.astype(jnp.float32) / jnp.where(a > 0, a, 1)
    x = distortion.apply(draw_key(state.key), x)
    if not distortion.levels:
      return Sparse((a * x).astype(w.dtype), state.live)
    levels = distortion.levels
    zero = levels.index(0.0) if 0.0 in levels else len(levels)
    levels = levels if 0.0 in levels else (*levels, 0.0)
    centers = (a * jnp.array(levels, jnp.float32)).astype(w.dtype)
    codes = jnp.where(state.live, x, zero)
    dtype = jnp.uint8 if len(levels) <= 256 else jnp.uint16
    return Codebook(centers, codes.astype(dtype))

  def init(w):
    return w, DistortState(jax.random.key(seed), live_weights(w, keep_zeros))

  def view(w, state):
    shown = distorted(train, w, state)
    if isinstance(shown, Codebook):
      value = look_up(shown.centers, shown.codes)
    else:
      value = apply_mask(shown.values, shown.mask)
    return straight_through(value, apply_mask(w, state.live))

  def update(w, state, grad):
    del grad
    return clip_to(w, bound), state._replace(key=next_key(state.key))

  def encode(w, state):
    return distorted(train if test is None else test, w, state)

  return distinct_keys(leafwise(init, view, encode, update=update))


def clipped() -> Distortion:
  """None but for the clipping to `-1 .. 1`, which alone trains well."""
  return Distortion(lambda key, x: jnp.clip(x, -1, 1))


def signs() -> Distortion:
  """The sign: one bit a weight."""
  return Distortion(lambda key, x: (x >= 0).astype(jnp.int32), (-1.0, 1.0))


def rounding(levels: int) -> Distortion:
  """The nearest of `levels` values, evenly spaced from -1 to 1.

  >>> x = jnp.array([-1.0, -0.6, 0.1, 0.4])
  >>> rounding(5)(jax.random.key(0), x).tolist()
  [-1.0, -0.5, 0.0, 0.5]

  Raises:
    ValueError: `levels` outside `2 .. 65535`.
  """
  require_whole('levels', levels, 2, 65535)
  steps = levels - 1

  def apply(key, x):
    del key
    index = jnp.round((jnp.clip(x, -1, 1) + 1) / 2 * steps)
    return index.astype(jnp.int32)

  return Distortion(
    apply, tuple((2 * i - steps) / steps for i in range(levels))
  )


def power(exponent: float) -> Distortion:
  """`sgn(x) |x|^exponent`: signs in the limit of 0, no change with 1.

  Raises:
    ValueError: `exponent` is not positive.
  """
  if not exponent > 0:
    raise ValueError(f'exponent is {exponent}; it must be positive.')
  return Distortion(lambda key, x: jnp.sign(x) * jnp.abs(x) ** exponent)


def added_noise(deviation: float) -> Distortion:
  """Adds Gaussian noise of this standard deviation.

  Raises:
    ValueError: `deviation` is negative.
  """
  if not deviation >= 0:
    raise ValueError(f'deviation is {deviation}; it must not be negative.')
  return Distortion(
    lambda key, x: x + deviation * jax.random.normal(key, x.shape, x.dtype)
  )


def multiplied_noise(width: float) -> Distortion:
  """Multiplies by numbers that are uniform in `1 - width .. 1 + width`.

  Raises:
    ValueError: `width` outside `0 .. 1`.
  """
  if not 0 <= width <= 1:
    raise ValueError(f'width is {width}; it must lie in 0 .. 1.')

  def apply(key, x):
    return x * jax.random.uniform(key, x.shape, x.dtype, 1 - width, 1 + width)

  return Distortion(apply)


def stochastic_signs() -> Distortion:
  """`+1` with probability `clip((x + 1) / 2, 0, 1)`, else `-1`."""
  return Distortion(
    lambda key, x: happens(key, hard_sigmoid(x)).astype(jnp.int32), (-1.0, 1.0)
  )


def stochastic_projection(gamma: float = 0.5) -> Distortion:
  """Random signs and magnitudes: the paper's StochM.

  The sign is `+` with probability `clip((x + 1) / 2, 0, 1)`, the magnitude
  `|x|` times a number that is uniform in `gamma .. 1 / gamma`. The mean is
  `(gamma + 1 / gamma) / 2 * |x| x`.

  Raises:
    ValueError: `gamma` outside `0 .. 1`, or zero.
  """
  if not 0 < gamma <= 1:
    raise ValueError(f'gamma is {gamma}; it must lie in 0 .. 1, above 0.')

  def apply(key, x):
    of_sign, of_size = jax.random.split(key)
    factor = jax.random.uniform(of_size, x.shape, x.dtype, gamma, 1 / gamma)
    # Of |x|: times x itself, the sign would be drawn on top of the old one.
    size = jnp.abs(x) * factor
    return jnp.where(happens(of_sign, hard_sigmoid(x)), size, -size)

  return Distortion(apply)

"""DoReFa-Net: weights, activations and gradients of a few bits.

All three are rounded by `q_k(r) = round((2^k - 1) r) / (2^k - 1)`, r in 0 .. 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.base import Compressor
from jcompress.encoded import Quantized
from jcompress.leafwise import leafwise
from jcompress.mask import live_weights
from jcompress.numerics.estimators import sign, straight_through
from jcompress.numerics.whole import require_whole


class DorefaState(NamedTuple):
  live: jax.Array  # of the weight, bool: false where it was zero at init


def dorefa_weights(bits: int, *, keep_zeros: bool = False) -> Compressor:
  """Rounds weights to `2^bits` levels of equal distance, at most 1 in size.

      view = 2 q_k( tanh(w) / (2 max|tanh(w)|) + 1/2 ) - 1,     bits > 1
      view = sign(w) mean|w|,                                   bits = 1

  Rounding and the sign pass the gradient on, `tanh` has its own; the maximum
  and the mean, taken over an array in each step, count as constants. No scale
  brings the levels of more bits back to the size of the weights: normalize
  behind the layer, or train from the start.

  An even number of levels has none at zero. Exact zeros at `init` keep one of
  their own; the mean is over the others.

  Args:
    bits: `1 .. 15`. The paper leaves the first and the last layer alone.
    keep_zeros: whether an array that is all zeros at `init` stays so. Otherwise
      it trains, and is shown as zeros until it has moved.

  Raises:
    ValueError: bits out of range.

  References:
    Zhou et al., DoReFa-Net, 2016, arXiv 1606.06160, sections 2.2 and 2.3.
  """
  _require_bits(bits, 15)
  levels = 2**bits - 1
  code_dtype = jnp.int8 if levels <= 127 else jnp.int16

  def quantize(w, live):
    """Odd codes (zero for zeros), their scale, and what has the gradient."""
    w = w.astype(jnp.float32)
    if bits == 1:
      count = jnp.maximum(jnp.sum(live, dtype=jnp.float32), 1)
      scale = jnp.sum(jnp.where(live, jnp.abs(w), 0) / count)
      codes, carrier = sign(w), w
    else:
      t = jnp.tanh(w)
      largest = jax.lax.stop_gradient(jnp.max(jnp.abs(t), initial=0))
      carrier = t / jnp.where(largest > 0, largest, 1)
      codes = 2 * jnp.round((carrier / 2 + 0.5) * levels) - levels
      codes = jnp.where(largest > 0, codes, 0)
      scale = jnp.float32(1 / levels)
    return jnp.where(live, codes, 0), scale, jnp.where(live, carrier, 0)

  def init(w):
    return w, DorefaState(live_weights(w, keep_zeros))

  def view(w, state):
    codes, scale, carrier = quantize(w, state.live)
    # Infinite weights have a finite tanh, and must not be shipped as ones.
    value = jnp.where(jnp.isfinite(w), codes * scale, jnp.nan)
    return straight_through(value, carrier).astype(w.dtype)

  def encode(w, state):
    codes, scale, _ = quantize(w, state.live)
    return Quantized(codes.astype(code_dtype), scale, dtype=w.dtype)

  return leafwise(init, view, encode)


def dorefa_activation(
  x: Float[Array, '*shape'], bits: int
) -> Float[Array, '*shape']:
  """Rounds activations: `q_k(clip(x, 0, 1))`.

  The gradient passes where `0 <= x <= 1`.

  >>> dorefa_activation(jnp.array([-0.2, 0.1, 0.4, 0.9, 1.4]), bits=1)
  Array([0., 0., 0., 1., 1.], dtype=float32)

  Args:
    x: activations.
    bits: `1 .. 16`.

  Raises:
    ValueError: bits out of range.

  References:
    Zhou et al., 2016, arXiv 1606.06160, section 2.4.
  """
  _require_bits(bits, 16)
  levels = 2**bits - 1
  inside = (x >= 0) & (x <= 1)
  clipped = jnp.where(inside, x, (x > 1).astype(x.dtype))
  value = jnp.round(clipped.astype(jnp.float32) * levels) / levels
  return straight_through(value.astype(x.dtype), clipped)


def dorefa_gradient(
  x: Float[Array, 'batch ...'], bits: int, key: jax.Array
) -> Float[Array, 'batch ...']:
  """Is `x`, and rounds the gradient that comes back through it.

      dx <- 2 max|dx| ( q_k( dx / (2 max|dx|) + 1/2 + N ) - 1/2 )

  with the maximum of each example and `N` uniform in
  `+-1 / (2 (2^k - 1))`, which makes the rounding right in the mean. Put it
  behind a convolution or dense layer, before the nonlinearity.

  Args:
    x: what a layer puts out; the first axis is that of the batch.
    bits: of the gradient, `1 .. 16`.
    key: a fresh one for each layer and step.

  Raises:
    ValueError: bits out of range.

  References:
    Zhou et al., 2016, arXiv 1606.06160, section 2.5.
  """
  _require_bits(bits, 16)
  levels = 2**bits - 1

  @jax.custom_vjp
  def op(x, key):
    del key
    return x

  def forward(x, key):
    return x, key

  def backward(key, grad):
    g = grad.astype(jnp.float32)
    axes = tuple(range(1, g.ndim))
    largest = jnp.max(jnp.abs(g), axes, keepdims=True, initial=0)
    ratio = g / jnp.where(largest > 0, largest, 1) / 2 + 0.5
    noise = jax.random.uniform(key, g.shape, g.dtype, -0.5, 0.5)
    # The noise may lead out of the levels, though it may not lead to another.
    codes = jnp.round(jnp.clip(ratio * levels + noise, 0, levels))
    rounded = largest * (2 * codes / levels - 1)
    return rounded.astype(grad.dtype), None

  op.defvjp(forward, backward)
  return op(x, key)


def _require_bits(bits, most):
  require_whole('bits', bits, 1, most)

"""XNOR-Net: binary weights with the scale that fits them best, input scales."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.base import Compressor
from jcompress.binarize.latent import (
  clip_to,
  filter_axes,
  require_choice,
  require_scope,
)
from jcompress.encoded import Signs
from jcompress.leafwise import leafwise
from jcompress.numerics.prox import binary
from jcompress.numerics.wide import mean_size

_GRADIENTS = ('exact', 'printed', 'identity')


def binary_weight(
  scope: str = 'filter', *, gradient: str = 'exact', clip: bool = False
) -> Compressor:
  """Shows the model signs times the mean magnitude of their weights.

  `view = alpha sgn(w)` with `alpha = mean |w|`, which is the nearest such array
  to `w` in squares.

  Args:
    scope: `'filter'`, one scale for each output unit (the last axis), or
      `'layer'`, one for the whole array.
    gradient: how the gradient `g` of the view reaches a weight `w_i` of `n`
      that share a scale. `'exact'` differentiates `alpha` and the hard-tanh
      sign: `alpha g_i [|w_i| <= 1] + sgn(w_i) / n sum_j g_j sgn(w_j)`.
      `'printed'` is the rule in the paper, `g_i (1 / n + alpha [|w_i| <= 1])`,
      which is not a derivative. `'identity'` is `g_i`, as HWGQ trains.
    clip: clips the weights to `-1 .. 1` after each step, as the paper's code
      does and its text does not.

  Raises:
    ValueError: a scope or a gradient that it does not have.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, sections 3.1, 3.2.
    Cai et al., Half-wave Gaussian Quantization, 2017, arXiv 1702.00953.
  """
  require_scope(scope)
  require_choice('gradient', gradient, _GRADIENTS)

  def init(w):
    return w, ()

  def view(w, state):
    del state
    return scaled_sign(w, filter_axes(scope, w.ndim), gradient)

  def update(w, state, grad):
    del grad
    return (clip_to(w, 1) if clip else w), state

  def encode(w, state):
    del state
    scale = binary(w, axes=filter_axes(scope, w.ndim)).scale
    return Signs(w >= 0, scale.astype(w.dtype))

  return leafwise(init, view, encode, update=update)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def scaled_sign(
  w: Float[Array, '*shape'], axes: tuple[int, ...], gradient: str = 'exact'
) -> Float[Array, '*shape']:
  """`mean |w| sgn(w)`, the mean over some axes; see `binary_weight`."""
  del gradient
  scale = binary(w, axes=axes).scale.astype(w.dtype)
  return jnp.where(w >= 0, scale, -scale)


def _scaled_sign_forward(w, axes, gradient):
  return scaled_sign(w, axes, gradient), w


def _scaled_sign_backward(axes, gradient, w, grad):
  if gradient == 'identity':
    return (grad,)
  wide, g = w.astype(jnp.float32), grad.astype(jnp.float32)
  count = max(1, w.size) / max(1, _kept_size(w.shape, axes))
  scale = mean_size(wide, axes)
  through = jnp.where(jnp.abs(wide) <= 1, g * scale, 0)
  if gradient == 'printed':
    return ((g / count + through).astype(w.dtype),)
  sign = jnp.where(w >= 0, 1.0, -1.0).astype(jnp.float32)
  along = jnp.sum(g * sign, axes, keepdims=True) / count
  return ((through + sign * along).astype(w.dtype),)


scaled_sign.defvjp(_scaled_sign_forward, _scaled_sign_backward)


def _kept_size(shape, axes):
  size = 1
  for i, n in enumerate(shape):
    size *= 1 if i in axes else n
  return size


def k_map(
  x: Float[Array, 'batch height width channels'],
  window: tuple[int, int],
  *,
  strides: tuple[int, int] = (1, 1),
  padding: str | Sequence[tuple[int, int]] = 'VALID',
) -> Float[Array, 'batch rows columns 1']:
  """Scales of the inputs of a binary convolution, one for each position.

  The mean magnitude over the channels, then over the window. The convolution is
  about `conv(sgn(x), sgn(w)) * k_map(x) * alpha`.

  Args:
    x: what the convolution would see, before its sign is taken.
    window: height and width of the filter.
    strides: of the convolution.
    padding: of the convolution. What is padded counts as zeros in the mean.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
  """
  magnitude = jnp.mean(jnp.abs(x.astype(jnp.float32)), -1, keepdims=True)
  if not isinstance(padding, str):
    padding = [(0, 0), *padding, (0, 0)]
  total = jax.lax.reduce_window(
    magnitude,
    0.0,
    jax.lax.add,
    (1, *window, 1),
    (1, *strides, 1),
    padding,
  )
  return (total / (window[0] * window[1])).astype(x.dtype)

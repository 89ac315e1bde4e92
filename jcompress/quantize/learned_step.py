"""Learned step size quantization: the grid is trained with the weights."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from jcompress.base import Compressor
from jcompress.encoded import Quantized
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import sign, straight_through
from jcompress.numerics.whole import require_whole
from jcompress.numerics.wide import mean_size


class LearnedStep(NamedTuple):
  """The latent of one array."""

  w: jax.Array  # full precision, of the dtype of the params
  step: jax.Array  # float32; the distance on the grid is |step|


class LearnedStepState(NamedTuple):
  live: jax.Array  # of the weight, bool: false where it was zero at init
  gradient_scale: jax.Array  # of the step, float32: 1 / sqrt(N Qp)


def learned_step(
  bits: int, *, axis: int | None = None, keep_zeros: bool = False
) -> Compressor:
  """Rounds weights to a grid whose step is trained: `round(w / s) s`.

  Codes lie in `-2^(bits-1) .. 2^(bits-1) - 1`. The latent of an array is the
  weight and its step. The step of the grid is `|step|`, so that one that an
  optimizer carries past zero grows again on the other side, instead of turning
  the grid around. Weight decay on the latent decays the step too.

  Exact zeros stay zero, and neither the first step nor the `N` of its gradient
  counts them: a pruned layer gets the grid of the weights it has left.

  Args:
    bits: of a code, `2 .. 16`.
    axis: of the weight, with one step for each index, such as `-1` for one a
      column of `[in, out]`; `N` is then the weights of one step. Default: one
      step for all.
    keep_zeros: whether an array that is all zeros at `init` stays so. Otherwise
      it trains, with the first step of an array drawn with variance `1 / n_in`.

  Raises:
    ValueError: bits out of range; in `init`, a weight without that axis.

  References:
    Esser et al., Learned Step Size Quantization, 2020, arXiv 1902.08153.
  """
  return leafwise(*grid_functions(bits, axis, keep_zeros))


def grid_functions(
  bits: int, axis: int | None, keep_zeros: bool
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
  """`init`, `view` and `encode` of `learned_step`, for one array."""
  require_whole('bits', bits, 2, 16)
  low, high = code_range(bits, signed=True)

  def init(w):
    axes = _others(w, axis)
    live = live_weights(w, keep_zeros)
    sums = lambda x: jnp.sum(x, axes, jnp.float32, keepdims=axis is not None)
    count = jnp.maximum(sums(live), 1)
    mean = sums(jnp.abs(w.astype(jnp.float32)) / count)
    is_new = (mean == 0) & live.any(axes, keepdims=axis is not None)
    mean = jnp.where(is_new, _usual_mean(w.shape), mean)
    step = jnp.where(mean > 0, mean * (2 / high**0.5), 1)
    scale = 1 / jnp.sqrt(count * high)
    return LearnedStep(w, step), LearnedStepState(live, scale)

  def view(latent, state):
    return _live_on_grid((low, high), *latent, *state)

  def encode(latent, state):
    codes, step = nearest_codes(latent.w, latent.step, (low, high))
    dtype = jnp.int8 if bits <= 8 else jnp.int16
    codes = jnp.where(state.live, codes, 0).astype(dtype)
    return Quantized(codes, step, dtype=latent.w.dtype)

  return init, view, encode


def learned_step_activation(
  x: Float[Array, 'batch ...'],
  step: Float[Array, ''],
  bits: int,
  *,
  signed: bool = False,
) -> Float[Array, 'batch ...']:
  """Rounds activations to a grid whose step is a parameter of the model.

  The gradient of `x` passes inside the range of the codes, that of the step is
  eq. 3 times `1 / sqrt(N Qp)` with `N` the features of one example.

  >>> x = jnp.array([[-0.3, 0.2, 0.9, 2.0]])
  >>> learned_step_activation(x, jnp.float32(0.5), bits=2)
  Array([[0. , 0. , 1. , 1.5]], dtype=float32)

  Args:
    x: activations; the first axis is that of the batch.
    step: a trained scalar, on the first batch `learned_step_start` of it; the
      distance on the grid is `|step|`.
    bits: of a code, `1 .. 16`, at least 2 if signed.
    signed: codes `-2^(bits-1) .. 2^(bits-1) - 1` instead of `0 .. 2^bits - 1`,
      which are for activations that are not negative.

  Raises:
    ValueError: bits out of range.

  References:
    Esser et al., Learned Step Size Quantization, 2020, arXiv 1902.08153.
  """
  low, high = code_range(bits, signed)
  features = max(1, x.size // max(1, len(x)))
  scale = jnp.float32(1 / (features * high) ** 0.5)
  return _on_grid(x, step, scale, (low, high))


def learned_step_start(
  x: Float[Array, '*shape'], bits: int, *, signed: bool = False
) -> Float[Array, '']:
  """The step to start from: `2 mean|x| / sqrt(Qp)`, 1 where `x` is all zero.

  Args:
    x: activations of the first batch.
    bits: see `learned_step_activation`.
    signed: see `learned_step_activation`.

  Raises:
    ValueError: bits out of range.

  References:
    Esser et al., 2020, arXiv 1902.08153, section 2.1.
  """
  _, high = code_range(bits, signed)
  mean = mean_size(x.astype(jnp.float32)).reshape(())
  return jnp.where(mean > 0, mean * (2 / high**0.5), 1)


def code_range(bits: int, signed: bool) -> tuple[int, int]:
  """The least and the largest code, `-Qn` and `Qp`."""
  require_whole('bits', bits, 2 if signed else 1, 16)
  if signed:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
  return 0, 2**bits - 1


def _on_grid(x, step, gradient_scale, ends):
  inside, slope = _slopes(x, step, ends)
  slope = jax.lax.stop_gradient(slope * gradient_scale * sign(step))
  # Of value zero, which cannot overflow: only its gradient is looked at.
  moves = step - jax.lax.stop_gradient(step)
  carrier = jnp.where(inside, x.astype(jnp.float32), 0) + slope * moves  # eq. 5
  return straight_through(_value(x, step, ends), carrier).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _live_on_grid(ends, w, step, live, gradient_scale):
  """`_on_grid` of what is live, in a third of the passes over the weights."""
  del gradient_scale
  value = _value(apply_mask(w, live), step, ends)
  return apply_mask(value, live).astype(w.dtype)


def _live_forward(ends, *operands):
  return _live_on_grid(ends, *operands), operands


def _live_backward(ends, operands, grad):
  w, step, live, gradient_scale = operands
  inside, slope = _slopes(apply_mask(w, live), step, ends)
  grad = grad.astype(jnp.float32)
  shared = [i for i in range(w.ndim) if not step.ndim or step.shape[i] == 1]
  # XLA:CPU sums what ends in a select faster than what ends in a product.
  moved = jnp.where(live, grad * slope, 0)
  total = jnp.sum(moved, tuple(shared), keepdims=step.ndim > 0)
  to_step = total * gradient_scale * sign(step)
  # This zero waits for the sum: only then the optimizer overwrites the weight,
  # which would be copied otherwise.
  zero = 0 * to_step
  to_w = jnp.where(inside & live, grad, zero).astype(w.dtype)
  return to_w, to_step, None, None


_live_on_grid.defvjp(_live_forward, _live_backward)


def _value(x, step, ends):
  codes, size = nearest_codes(x, step, ends)
  # An infinite weight must not look like a large one.
  return jnp.where(jnp.isfinite(x), codes * size, jnp.nan)  # eq. 2


def _slopes(x, step, ends):
  """Where the weight moves its value, and the slope of all with the step."""
  codes, size = nearest_codes(x, step, ends)
  ratio = x.astype(jnp.float32) / size
  below, above = ratio <= ends[0], ratio >= ends[1]
  slope = jnp.where(above, ends[1], codes - ratio)
  return ~(below | above), jnp.where(below, ends[0], slope)  # eq. 3


def nearest_codes(
  x: Float[Array, '...'], step: Float[Array, '...'], ends: tuple[int, int]
) -> tuple[Float32[Array, '...'], Float32[Array, '...']]:
  """The code of each entry, between `ends`, and the distance on the grid."""
  size = jnp.maximum(jnp.abs(step), jnp.finfo(jnp.float32).tiny)
  return jnp.round(jnp.clip(x.astype(jnp.float32) / size, *ends)), size  # eq. 1


def _usual_mean(shape):
  """The mean magnitude of a normal array of variance `1 / n_in`."""
  n_in = math.prod(shape[:-1]) if len(shape) > 1 else math.prod(shape)
  return math.sqrt(2 / math.pi / max(1, n_in))


def _others(w, axis):
  """All axes but one, for sums that leave it."""
  if axis is None:
    return tuple(range(w.ndim))
  if not -w.ndim <= axis < w.ndim:
    raise ValueError(
      f'axis is {axis}; a weight {list(w.shape)} does not have it. Give one of '
      f'{-w.ndim} .. {w.ndim - 1}, or None for one step an array.'
    )
  return tuple(i for i in range(w.ndim) if i != axis % w.ndim)

"""Activations on a few levels that fit the positive half of a Gaussian."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.numerics.whole import require_whole

_GRADIENTS = ('relu', 'clipped', 'log_tailed')


def hwgq(
  x: Float[Array, '*shape'],
  bits: int = 2,
  *,
  uniform: bool = True,
  gradient: str = 'clipped',
  levels: Sequence[float] | None = None,
) -> Float[Array, '*shape']:
  """Half-wave Gaussian quantizer: zero, or the nearest of a few levels above.

  `Q(x) = 0` for `x <= 0`, `q_i` for `t_i < x <= t_{i+1}` with `t_1 = 0` and
  the midpoints of the levels above it. The smallest positive input
  gives the first level, so that `round(x / q_1) * q_1` is another quantizer.

  Args:
    x: what a batch norm without scale and offset gives: its variance must be
      one, since the levels are those of a standard Gaussian.
    bits: `1 .. 4`; zero and `2 ** bits - 1` levels.
    uniform: levels `i * q_1` with the best step, or the best levels.
    gradient: with the largest level `q_m`: `'relu'` is 1 for `x > 0`;
      `'clipped'` the same up to `q_m` and 0 above; `'log_tailed'` is
      `1 / (x - q_m + 1)` above.
    levels: used instead of those for `bits`: rising, positive.

  >>> x = jnp.array([-1.0, 0.3, 1.2, 3.0])
  >>> hwgq(x, levels=[0.5, 1.0, 1.5]).tolist()
  [0.0, 0.5, 1.0, 1.5]

  Raises:
    ValueError: `bits` out of range, a gradient it does not have, or levels
      that do not rise from above zero.

  References:
    Cai et al., Deep Learning with Low Precision by Half-wave Gaussian
    Quantization, 2017, arXiv 1702.00953.
  """
  if gradient not in _GRADIENTS:
    raise ValueError(
      f'gradient is {gradient!r}; it must be one of {_GRADIENTS}.'
    )
  if levels is None:
    levels = half_wave_levels(bits, uniform)
  levels = tuple(float(q) for q in levels)
  if not levels or not all(
    a < b for a, b in zip((0.0, *levels), levels, strict=False)
  ):
    raise ValueError(f'levels are {levels}; they must rise from above zero.')
  return _quantize(x, levels, gradient)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _quantize(x, levels, gradient):
  del gradient
  value = jnp.where(x > 0, levels[0], 0).astype(x.dtype)
  for low, high in zip(levels, levels[1:], strict=False):
    value = jnp.where(x > (low + high) / 2, high, value).astype(x.dtype)
  return value


@_quantize.defjvp
def _quantize_jvp(levels, gradient, primals, tangents):
  (x,), (tangent,) = primals, tangents
  last = levels[-1]
  if gradient == 'relu':
    tail = jnp.ones_like(x)
  elif gradient == 'clipped':
    tail = jnp.zeros_like(x)
  else:
    tail = 1 / (jnp.maximum(x, last) - last + 1)
  slope = jnp.where(x > last, tail, jnp.where(x > 0, 1, 0))
  return _quantize(x, levels, gradient), slope.astype(x.dtype) * tangent


@functools.cache
def half_wave_levels(bits: int, uniform: bool = True) -> tuple[float, ...]:
  """The positive levels with the least squared error on a Gaussian.

  Lloyd's algorithm on the positive half of N(0, 1): each level becomes the
  mean of its interval; uniform levels `i * q_1` become the multiples
  that fit the means best.

  >>> [round(q, 4) for q in half_wave_levels(2, uniform=False)]
  [0.3177, 1.0001, 1.8936]

  Raises:
    ValueError: `bits` outside `1 .. 4`.
  """
  require_whole('bits', bits, 1, 4)
  count = 2**bits - 1
  levels = [3 * (i + 1) / (count + 1) for i in range(count)]
  for _ in range(100_000):
    mass, first = zip(*map(_moments, _edges(levels)), strict=True)
    if uniform:
      order = range(1, count + 1)
      fit = sum(i * f for i, f in zip(order, first, strict=True))
      step = fit / sum(i * i * m for i, m in zip(order, mass, strict=True))
      new = [i * step for i in order]
    else:
      new = [f / m for f, m in zip(first, mass, strict=True)]
    moved = max(abs(a - b) for a, b in zip(new, levels, strict=True))
    levels = new
    if moved < 1e-13:
      break
  return tuple(levels)


def half_wave_error(levels: Sequence[float]) -> float:
  """Mean squared error of the levels on N(0, 1), against a ReLU.

  >>> round(half_wave_error(half_wave_levels(2)), 5)
  0.04322
  """
  total = 0.0
  for q, edges in zip(levels, _edges(levels), strict=True):
    mass, first = _moments(edges)
    total += _second_moment(edges) - 2 * q * first + q * q * mass
  return total


def _edges(levels):
  middles = [(a + b) / 2 for a, b in zip(levels, levels[1:], strict=False)]
  return list(zip([0.0, *middles], [*middles, math.inf], strict=True))


def _moments(edges):
  """The mass of N(0, 1) between two edges, and its integral of x."""
  low, high = edges
  mass = (math.erfc(low / math.sqrt(2)) - math.erfc(high / math.sqrt(2))) / 2
  return mass, _density(low) - _density(high)


def _second_moment(edges):
  low, high = edges
  edge = lambda t: t * _density(t) if t < math.inf else 0.0
  return _moments(edges)[0] + edge(low) - edge(high)


def _density(t):
  return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)

"""Proximal operators: the nearest binary, ternary or few-valued array.

Each minimizes `sum d (w - a b)^2` over a scale `a >= 0` and codes `b`, with
weights `d >= 0`, in float32. Reductions alone: no sort runs in a step.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.numerics.wide import mean_size, selected, to_unit


class Scaled(NamedTuple):
  """The nearest array is `scale * codes`."""

  scale: jax.Array  # float32, >= 0; axes that share a scale have size one
  codes: jax.Array  # of the shape of w, float32


def binary(
  w: Float[Array, '*shape'],
  d: Float[Array, '*shape'] | None = None,
  *,
  axes: tuple[int, ...] | None = None,
) -> Scaled:
  """Codes `-1, 1`: the signs; the scale is the weighted mean magnitude.

  `argmin = (a, b)` with `b = sgn(w)`, `a = sum d |w| / sum d`.

  Args:
    w: what is approximated.
    d: weights `>= 0`; ones if not given.
    axes: what shares a scale; all axes if not given.

  >>> binary(jnp.array([1.0, -3.0, 0.0])).codes.tolist()
  [1.0, -1.0, 1.0]

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279.
    Hou et al., Loss-aware Binarization of Deep Networks, 2017,
    arXiv 1611.01600.
  """
  axes = tuple(range(w.ndim)) if axes is None else axes
  scale = mean_size(w.astype(jnp.float32), axes)
  if d is not None:
    d = _weights(w, d)
    # In units of the mean, so that no sum overflows or is lost.
    size = jnp.abs(w.astype(jnp.float32)) / jnp.where(scale > 0, scale, 1)
    scale *= _ratio(
      jnp.sum(selected(d * size, d), axes, keepdims=True),
      jnp.sum(selected(d, d), axes, keepdims=True),
    )
  return Scaled(scale, jnp.where(w >= 0, 1.0, -1.0))


def ternary(
  w: Float[Array, '*shape'], d: Float[Array, '*shape'] | None = None
) -> Scaled:
  """Codes `-1, 0, 1`, exactly: one scale for all.

  `argmin = (a, b)` with `b = sgn(w) [|w| > a / 2]`, `a = f(a)`, where `f(a)` is
  the weighted mean of the magnitudes above `a / 2`. Of the fixed points of `f`
  the one with the largest `(sum d |w|)^2 / sum d` over its codes is best. Since
  `f` never falls, iterating from below or above finds the next fixed point and
  skips none; most arrays have one.

  Args:
    w: what is approximated.
    d: weights `>= 0`; ones if not given.

  >>> ternary(jnp.array([1.0, -3.0, 0.1])).codes.tolist()
  [0.0, -1.0, 0.0]

  References:
    Hou & Kwok, Loss-aware Weight Quantization of Deep Networks, 2018,
    arXiv 1802.08635; they sort the magnitudes and try each prefix.
  """
  w, exponent = to_unit(w.astype(jnp.float32))
  scale = _ternary_scale(jnp.abs(w), _weights(w, d))
  codes = _ternary_codes(w, scale)
  return Scaled(jnp.ldexp(scale, exponent).reshape((1,) * w.ndim), codes)


def ternary_two_scales(
  w: Float[Array, '*shape'], d: Float[Array, '*shape'] | None = None
) -> tuple[Scaled, Scaled]:
  """`ternary` with a scale of its own for each sign, exactly.

  Returns:
    The positive part with codes `0, 1`, and the negative with codes `0, -1`;
    the nearest array is the sum of their products.
  """
  return ternary(jnp.maximum(w, 0), d), ternary(jnp.minimum(w, 0), d)


def alternate(
  w: Float[Array, '*shape'],
  d: Float[Array, '*shape'] | None,
  round_codes: Callable[[jax.Array], jax.Array],
  codes: Float[Array, '*shape'],
  *,
  steps: int = 10,
  tolerance: float = 1e-6,
) -> Scaled:
  """Codes of any set, approximately: fits scale and codes in turn.

  `a = sum d b w / sum d b^2`, then `b = round_codes(w / a)`. The objective does
  not rise; where it ends depends on the codes that it starts from.

  Args:
    w: what is approximated.
    d: weights `>= 0`; ones if not given.
    round_codes: the nearest codes of an array.
    codes: to start from, such as those of the step before.
    steps: how often at most.
    tolerance: stops where the scale moves by less; the largest weight is
      between a half and one.

  References:
    Hou & Kwok, Loss-aware Weight Quantization of Deep Networks, 2018,
    arXiv 1802.08635.
  """
  wide, exponent = to_unit(w.astype(jnp.float32))
  d = _weights(w, d)

  def fit(b):
    scale = _ratio(jnp.sum(d * b * wide), jnp.sum(d * b * b))
    return jnp.maximum(scale, 0)

  def is_open(carry):
    step, moved, _, _ = carry
    return (step < steps) & (moved > tolerance)

  def body(carry):
    step, _, scale, _ = carry
    codes = round_codes(wide / jnp.where(scale > 0, scale, 1))
    codes = jnp.where(scale > 0, codes, 0)
    new = fit(codes)
    return step + 1, jnp.abs(new - scale), new, codes

  scale = fit(codes)
  start = (
    jnp.int32(0),
    jnp.float32(jnp.inf),
    scale,
    codes + jnp.zeros_like(wide),
  )
  _, _, scale, codes = jax.lax.while_loop(is_open, body, start)
  return Scaled(jnp.ldexp(scale, exponent).reshape((1,) * w.ndim), codes)


def _weights(w, d):
  """The weights in float32, the largest of them one."""
  if d is None:
    return jnp.ones(w.shape, jnp.float32)
  d = d.astype(jnp.float32)
  largest = jnp.max(d, initial=0)
  return d / jnp.where(largest > 0, largest, 1)


def _ternary_codes(w, scale):
  wide = w.astype(jnp.float32)
  return jnp.where(jnp.abs(wide) > scale / 2, jnp.sign(wide), 0)


def _ternary_scale(size, d):
  def sums(scale):
    above = size > scale / 2
    return jnp.sum(d * size, where=above), jnp.sum(d, where=above)

  def f(scale):
    return _ratio(*sums(scale))

  def gain(scale):
    total, mass = sums(scale)
    return total * _ratio(total, mass)

  def rise(scale):
    """The least fixed point at or above a scale with `f(scale) >= scale`."""
    pair = scale, f(scale)
    go = lambda p: p[1] > p[0]
    return jax.lax.while_loop(go, lambda p: (p[1], f(p[1])), pair)[0]

  def fall(scale):
    """The largest fixed point at or below one with `f(scale) <= scale`."""
    pair = scale, f(scale)
    go = lambda p: p[1] < p[0]
    return jax.lax.while_loop(go, lambda p: (p[1], f(p[1])), pair)[0]

  top = fall(jnp.max(size, initial=0))

  def next_fixed_point(low):
    """The least fixed point above `low`, which is one below `top`."""

    def is_open(ends):
      return ends[1] - ends[0] > 1

    def body(ends):
      a, b = ends
      code = a + (b - a) // 2
      middle = _float(code)
      rises = f(middle) >= middle
      below = jax.lax.cond(rises, lambda: middle, lambda: fall(middle))
      # Nothing is fixed between what it falls to and the middle.
      return (
        jnp.where(below > low, a, code),
        jnp.where(below > low, _code(below), b),
      )

    _, high = jax.lax.while_loop(is_open, body, (_code(low), _code(top)))
    return rise(_float(high))

  def step(carry):
    low, best, most = carry
    low = next_fixed_point(low)
    new = gain(low)
    return low, jnp.where(new > most, low, best), jnp.maximum(new, most)

  low = rise(jnp.float32(0))
  start = low, low, gain(low)
  return jax.lax.while_loop(lambda c: c[0] < top, step, start)[1]


def _code(x):
  # Floats that are not negative are ordered as the integers of their bits.
  return jax.lax.bitcast_convert_type(x, jnp.int32)


def _float(code):
  return jax.lax.bitcast_convert_type(code, jnp.float32)


def _ratio(total, mass):
  return jnp.where(mass > 0, total / jnp.where(mass > 0, mass, 1), 0)

"""Half-quadratic quantization: zeros of grids are fitted, without data."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.encoded import Quantized
from jcompress.finite import require_finite
from jcompress.numerics.whole import require_whole
from jcompress.quantize.grouping import groups_of
from jcompress.quantize.host_grid import fit_grid, grid_rule, group_numbers


def hqq(
  w: Float[Array | np.ndarray, '*inputs out'],
  bits: int,
  group: int | None = 64,
  *,
  p: float = 0.7,
  beta: float = 3.0,
  growth: float = 1.01,
  iterations: int = 20,
  scale_dtype: str = 'bfloat16',
) -> Quantized:
  """Rounds a kernel to grids whose zeros lie where few weights are far off.

  Each group has the scale `s` of its range, and a zero `z` between two codes
  that minimizes `sum |r|^p` of the errors `r = w / s - (codes - z)`. With
  `p < 1` a few large errors, of outliers, count little. Half-quadratic
  splitting alternates

      e = sign(r) max(0, |r| - |r|^(p-1) / beta),
      z = mean(codes - (w / s - e)),

  and the best zero that was seen is kept. Errors are in units of the grid, so
  that the result does not depend on the size of the weights; the authors' code
  has them, and its beta of 10, in units of the weights.

  Exact zeros do not stay zero.

  Args:
    w: kernel; all axes but the last are inputs.
    bits: of a code, `2 .. 8`.
    group: so many consecutive inputs of an output share a scale and a zero,
      along the last axis of inputs; `None` for all.
    p: of the error, above 0 and up to 1.
    beta: how close `e` stays to the error at first, above 0.
    growth: of beta in each iteration, at least 1.
    iterations: at least 1.
    scale_dtype: of the scales, `'bfloat16'` with zeros in float16, or
      `'float32'` for both.

  Raises:
    ValueError: an argument out of range, or a kernel without inputs.

  References:
    Badri & Shaji, Half-Quadratic Quantization of Large Machine Learning Models,
    2023, https://mobiusml.github.io/hqq_blog/.

  >>> w = np.array([[0.0], [1.3], [2.3], [1.3], [3.0]], np.float32)
  >>> print(hqq(w, 2, None).decode().round(1).ravel())
  [0.2 1.2 2.2 1.2 3.2]
  """
  require_finite(w, 'hqq')
  rule = grid_rule(bits, False, 'absmax', scale_dtype)
  require_whole('iterations', iterations, 1)
  if not 0 < p <= 1 or not beta > 0 or not growth >= 1:
    raise ValueError(
      f'{p=}, {beta=}, {growth=}: wanted 0 < p <= 1, beta > 0 and growth >= 1.'
    )
  numbers = group_numbers(w.shape, group)
  group = group if len(numbers) else None
  rows = tree.to_host(w).astype(np.float64).reshape(len(numbers), w.shape[-1]).T
  kind = np.dtype(np.float32 if scale_dtype == 'float32' else np.float16)
  top = rule.ends[1]

  codes = np.empty_like(rows)
  scales, zeros = [], []
  for g in range(numbers.max(initial=0) + 1):
    members = numbers == g
    scale = fit_grid(rows[:, members], rule).scale
    x = rows[:, members] / scale[:, None]
    zero = _fit_zero(x, top, p, beta, growth, iterations, kind)
    codes[:, members] = _codes(x, zero, top)
    scales.append(scale)
    zeros.append(zero)

  groups = groups_of(w.shape, -1, group)
  form = lambda x, dtype: jnp.asarray(
    np.stack(x).reshape(groups.scale_shape), dtype
  )
  leaf: Any = Quantized
  return leaf(
    jnp.asarray(codes.T.reshape(w.shape), jnp.uint8),
    form(scales, scale_dtype),
    form(zeros, kind),
    groups.tile,
    jnp.dtype(w.dtype),
  )


def _fit_zero(
  x: Float[np.ndarray, 'out members'], top, p, beta, growth, iterations, kind
) -> Float[np.ndarray, ' out']:
  """The zero of each row, exact in the dtype in which it is shipped."""
  exact = lambda zero: zero.astype(kind).astype(np.float64)
  zero = exact(np.max(-x, axis=1, initial=0))
  best, least = zero, np.full(len(x), np.inf)
  for _ in range(iterations):
    codes = _codes(x, zero, top)
    error = x - (codes - zero[:, None])
    cost = np.sum(np.abs(error) ** p, axis=1)
    best = np.where(cost < least, zero, best)
    least = np.minimum(cost, least)
    shrunk = _shrink(error, p, beta)
    zero = exact(np.mean(codes - (x - shrunk), axis=1)) if x.size else zero
    beta *= growth
  return best


def _codes(x, zero, top):
  return np.clip(np.rint(x + zero[:, None]), 0, top)


def _shrink(error, p, beta):
  """What of an error is held to be an outlier."""
  size = np.abs(error)
  less = np.maximum(size, 1e-30) ** (p - 1) / beta
  return np.sign(error) * np.maximum(size - less, 0)

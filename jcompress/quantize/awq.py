"""AWQ: weights of large inputs are stretched before they are rounded."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.encoded import Scaled
from jcompress.finite import require_finite
from jcompress.numerics.whole import require_whole
from jcompress.prune.inverse_factor import layer_hessian
from jcompress.quantize.host_grid import (
  fit_groups,
  grid_rule,
  group_numbers,
  quantized_leaf,
  round_groups,
)
from jcompress.quantize.smooth import input_sizes


class AwqReport(NamedTuple):
  """What `awq` did. Every number is measured on the result."""

  error: float  # |X W' - X W|^2 / |X W|^2
  nearest: float  # the same of rounding to nearest
  alpha: float  # the power of the size of the inputs that was best


def awq(
  w: Float[Array | np.ndarray, '*inputs out'],
  hessian: Float[Array | np.ndarray, 'in in'],
  bits: int,
  *,
  group: int | None = None,
  symmetric: bool = True,
  steps: int = 20,
  sizes: Float[Array | np.ndarray, '...'] | None = None,
  calibration: str = 'absmax',
  scale_dtype: str = 'float32',
) -> tuple[Scaled, AwqReport]:
  """Rounds a layer after stretching the inputs that are large in the data.

  The weights of input `i` are multiplied by `s_i = |x_i|^alpha`, rounded, and
  divided again: those of large inputs come out with smaller errors, at the
  cost of the others. `alpha` is the one of `0, 1 / steps, ..., 1` whose error
  `|X W' - X W|^2` is least, so that it is never above that of rounding to
  nearest. The factors `1 / s` are in bfloat16 and part of the leaf, which
  decodes to the kernel.

  Exact zeros stay zero.

  Args:
    w: kernel of a dense layer, or of a convolution seen as one: all axes but
      the last are inputs.
    hessian: `X^T X` of the inputs, see `layer_obs`; its scale does not matter.
    bits: of a code, `2 .. 8`.
    group: so many consecutive inputs of an output share a scale, as in `gptq`.
    symmetric: if false, codes are unsigned and have a zero point.
    steps: of the search, at least 1.
    sizes: of the inputs, `>= 0`, such as the mean `|x|` of the paper. Default:
      the root of the mean of `x^2`, from the Hessian.
    calibration: `'absmax'` or `'mse'`, see `gptq`.
    scale_dtype: `'float32'` or `'bfloat16'`.

  Returns:
    The encoded leaf, and a report.

  Raises:
    ValueError: an argument out of range; a Hessian or sizes that do not fit.

  References:
    Lin et al., AWQ: Activation-aware Weight Quantization for LLM Compression
    and Acceleration, 2023, arXiv 2306.00978, equations 4 and 5.
  """
  require_finite(w, 'awq')
  rule = grid_rule(bits, symmetric, calibration, scale_dtype)
  numbers = group_numbers(w.shape, group)
  group = group if len(numbers) else None
  require_whole('steps', steps, 1)
  inputs = math.prod(w.shape[:-1])
  h = layer_hessian(hessian, inputs)
  weight = np.diagonal(h)
  given = np.sqrt(weight)
  if sizes is not None:
    given = input_sizes('sizes', sizes, inputs)
  rows = tree.to_host(w).astype(np.float64).reshape(inputs, w.shape[-1]).T
  energy = lambda x: float(np.vdot(x @ h, x))

  def scaled(alpha):
    """The error, the factors, and what is rounded and its grid."""
    factor = _factors(given, alpha)
    stretched = rows / factor
    grid = fit_groups(stretched, numbers, rule, weight * factor**2)
    rounded = round_groups(stretched, numbers, grid, rule)
    return energy(rounded * factor - rows), factor, rounded, grid

  near = best = scaled(0.0)
  alpha = 0.0
  for step in range(1, steps + 1):
    found = scaled(step / steps)
    if found[0] < best[0]:
      best, alpha = found, step / steps
  error, factor, rounded, grid = best
  total = energy(rows)
  share = lambda x: float(x / total if total > 0 else 0)

  form = (*w.shape[:-1], 1)
  part = quantized_leaf(rounded, grid, rule, w.shape, jnp.float32, group)
  leaf: Any = Scaled
  leaf = leaf(
    part, jnp.asarray(factor.reshape(form), jnp.bfloat16), jnp.dtype(w.dtype)
  )
  return leaf, AwqReport(share(error), share(near[0]), alpha)


def _factors(sizes, alpha):
  """`1 / s`, exact in bfloat16, the middle of the range at 1."""
  least = 1e-4 * sizes.max(initial=0)
  found = sizes > 0
  scale = np.where(found, np.maximum(sizes, least), 1) ** alpha
  if found.any():
    scale = np.where(found, scale, scale[found].min())
    scale /= math.sqrt(scale.max() * scale.min())
  return (1 / scale).astype(jnp.bfloat16).astype(np.float64)

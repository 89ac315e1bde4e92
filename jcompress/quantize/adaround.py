"""AdaRound: it is learned whether a weight is rounded up or down."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.encoded import Quantized
from jcompress.finite import require_finite
from jcompress.numerics.whole import require_whole
from jcompress.prune.inverse_factor import factor_inverse
from jcompress.quantize.host_grid import (
  fit_groups,
  grid_rule,
  group_numbers,
  quantized_leaf,
  round_groups,
)

_LOW, _HIGH = -0.1, 1.1  # gamma and zeta
_FIRST, _LAST, _WARM = 20.0, 2.0, 0.2  # beta; the share without the penalty


class AdaroundReport(NamedTuple):
  """What `adaround` did. Every number is measured on the result."""

  error: float  # |X W' - X W|^2 / |X W|^2
  nearest: float  # the same of rounding to nearest
  moved: float  # fraction of the weights that are not on the nearest value


def adaround(
  w: Float[Array | np.ndarray, '*inputs out'],
  hessian: Float[Array | np.ndarray, 'in in'],
  bits: int,
  *,
  group: int | None = None,
  symmetric: bool = True,
  steps: int = 1000,
  rate: float = 1e-2,
  strength: float = 0.1,
  calibration: str = 'mse',
  scale_dtype: str = 'float32',
) -> tuple[Quantized, AdaroundReport]:
  """Rounds the weights of a layer up or down so that its outputs change least.

  Each weight gets the value below it plus `h` steps, `h = clip(1.2 sigmoid(v) -
  0.1, 0, 1)`, which starts at its place between the two. Adam lowers

      |X W' - X W|^2 / |X W|^2 + strength * mean(1 - |2 h - 1|^beta)

  and `beta` falls from 20 to 2, which pushes every `h` to 0 or 1. An output for
  which rounding to nearest is better keeps that. Nothing is drawn.

  `gptq` may move weights by several steps and needs one sweep; this moves them
  by less than one. Exact zeros stay zero.

  Args:
    w: kernel of a dense layer, or of a convolution seen as one: all axes but
      the last are inputs.
    hessian: `X^T X` of the inputs, see `layer_obs`; its scale does not matter.
    bits: of a code, `2 .. 8`.
    group: see `gptq`.
    symmetric: see `gptq`.
    steps: of Adam, at least 1.
    rate: of Adam, `> 0`.
    strength: of the push, `>= 0`. The paper's 0.01 is beside an error that is
      not relative; here 0.1 rounds better on layers of random weights.
    calibration: see `gptq`.
    scale_dtype: see `gptq`.

  Returns:
    The encoded leaf, and a report.

  Raises:
    ValueError: an argument out of range; a Hessian that does not fit or is not
      symmetric positive semi-definite.

  >>> hessian = np.array([[1.0, 0, 0], [0, 1, 0.9], [0, 0.9, 1]])
  >>> w = np.array([[3.0], [1.45], [1.4]], np.float32)
  >>> leaf, report = adaround(w, hessian, 3, calibration='absmax')
  >>> print(leaf.codes.ravel(), report.error < 0.3 * report.nearest)
  [3 2 1] True

  References:
    Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization,
    2020, arXiv 2004.10568, eqs. 21 to 25.
  """
  require_finite(w, 'adaround')
  require_whole('steps', steps, 1)
  if not (rate > 0 and strength >= 0):
    raise ValueError(
      f'rate is {rate} and strength {strength}; they must be above 0, and at '
      'least 0.'
    )
  rule = grid_rule(bits, symmetric, calibration, scale_dtype)
  numbers = group_numbers(w.shape, group)
  group = group if len(numbers) else None
  inputs = math.prod(w.shape[:-1])
  rows = tree.to_host(w).astype(np.float64).reshape(inputs, w.shape[-1]).T
  h = factor_inverse(hessian, inputs, 0.01, sort=False).hessian
  grid = fit_groups(rows, numbers, rule, np.diagonal(h))
  near = round_groups(rows, numbers, grid, rule)

  scale, zero = grid.scale[:, numbers], grid.zero[:, numbers]
  low, high = (end - zero for end in rule.ends)
  below = np.clip(np.floor(rows / scale), low, np.maximum(high - 1, low))
  place = np.clip(rows / scale - below, 0, 1)
  energy = lambda change: np.einsum('oi,oi->o', change @ h, change)
  total = max(float(energy(rows).sum()), np.finfo(np.float64).tiny)
  with jax.enable_x64(True):
    up = np.asarray(
      _learn(
        jnp.asarray(below * scale - rows),
        jnp.asarray(scale),
        jnp.asarray(place),
        jnp.asarray(h / total),
        rate,
        strength,
        steps,
      )
    )
  new = scale * np.clip(below + up, low, high)
  new = np.where(rows == 0, 0, new)
  worse = energy(new - rows) > energy(near - rows)
  new = np.where(worse[:, None], near, new)
  leaf = quantized_leaf(new, grid, rule, w.shape, w.dtype, group)
  shipped = tree.to_host(leaf.decode()).astype(np.float64)
  shipped = shipped.reshape(inputs, w.shape[-1]).T
  return leaf, AdaroundReport(
    error=float(energy(shipped - rows).sum()) / total,
    nearest=float(energy(near - rows).sum()) / total,
    moved=float(np.mean(np.abs(new - near) > scale / 2)),
  )


@functools.partial(jax.jit, static_argnames='steps')
def _learn(start, scale, place, h, rate, strength, steps):
  """Which weights are rounded up; `start` is the error of rounding down."""
  share = (place - _LOW) / (_HIGH - _LOW)
  tx = optax.adam(rate)

  def loss(v, beta, push):
    up = _stretched(v)
    change = start + scale * up
    error = jnp.sum((change @ h) * change)
    open_ = 1 - jnp.abs(2 * up - 1) ** beta
    return error + push * jnp.mean(open_)

  def step(i, carry):
    v, state = carry
    done = (i / steps - _WARM) / (1 - _WARM)
    beta = _LAST + (_FIRST - _LAST) * (1 - jnp.clip(done, 0, 1))
    push = jnp.where(done < 0, 0, strength)
    updates, state = tx.update(jax.grad(loss)(v, beta, push), state)
    return optax.apply_updates(v, updates), state

  v = jnp.log(share) - jnp.log1p(-share)
  v, _ = jax.lax.fori_loop(0, steps, step, (v, tx.init(v)))
  return _stretched(v) > 0.5


def _stretched(v):
  return jnp.clip(jax.nn.sigmoid(v) * (_HIGH - _LOW) + _LOW, 0, 1)

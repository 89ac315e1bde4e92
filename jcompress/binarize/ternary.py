"""Ternary weight networks: zero, and one magnitude with its sign."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jcompress.base import Compressor
from jcompress.binarize.latent import filter_axes, require_scope
from jcompress.encoded import Quantized
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.estimators import straight_through

_FACTORS = {'layer': 0.7, 'filter': 0.75}


class TernaryState(NamedTuple):
  live: jax.Array  # of the weight, bool: false where it was zero at init


def ternary_weight(
  scope: str = 'layer', *, factor: float | None = None, keep_zeros: bool = False
) -> Compressor:
  """Shows the model `alpha t`, `t` in `{-1, 0, 1}`, near to its weights.

  `t = sgn(w) [|w| > D]` with `D = factor * mean |w|`, and `alpha` is the mean
  of the magnitudes above `D`. The gradient reaches the weights as it is.
  Weights that are zero at `init` stay zero and do not count in the mean.

  Args:
    scope: what shares `D` and `alpha`: `'layer'`, the whole array, as the paper
      was first published and as its code has it, or `'filter'`, each output
      unit (the last axis), as it was printed later.
    factor: not negative; 0.7 for a layer and 0.75 for a filter if not given.
      With 0 and no zeros this is `binary_weight(scope, gradient='identity')`.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a scope that it does not have, a negative factor.

  References:
    Li et al., Ternary Weight Networks, 2016, arXiv 1605.04711.
  """
  require_scope(scope)
  factor = _FACTORS[scope] if factor is None else factor
  if not factor >= 0:
    raise ValueError(f'factor is {factor}; it must not be negative.')

  def quantize(w, state):
    """Codes and their scale, both in float32."""
    w = apply_mask(w, state.live).astype(jnp.float32)
    size, axes = jnp.abs(w), filter_axes(scope, w.ndim)

    def mean(x, m):
      count = jnp.sum(m, axes, keepdims=True, dtype=jnp.float32)
      return jnp.sum(x / jnp.maximum(count, 1), axes, keepdims=True, where=m)

    above = size > factor * mean(size, state.live)
    return jnp.where(above, jnp.sign(w), 0), mean(size, above)

  def init(w):
    return w, TernaryState(live_weights(w, keep_zeros))

  def view(w, state):
    codes, scale = quantize(w, state)
    value = (codes * scale).astype(w.dtype)
    return straight_through(value, apply_mask(w, state.live))

  def encode(w, state):
    codes, scale = quantize(w, state)
    return Quantized(codes.astype(jnp.int8), scale, dtype=w.dtype)

  return leafwise(init, view, encode)

"""Training towards low rank: singular values are pulled to zero."""

import math

import jax.numpy as jnp
import optax

from jcompress.base import Compressor
from jcompress.factor.projected import projected
from jcompress.factor.scheme import (
  on_matrices,
  require_scheme,
)
from jcompress.numerics.spectral import nuclear
from jcompress.numerics.whole import require_whole


def nuclear_norm(
  strength: float,
  *,
  learning_rate: float | optax.Schedule,
  every: int = 1,
  scheme: str = 'svd',
) -> Compressor:
  """Pulls the singular values of each kernel to zero, so that its rank falls.

  Trains `loss + strength sum_l |W_l|_*`, the nuclear norm being the sum of the
  singular values, by the proximal step after that of the optimizer:

      W <- U max(0, S - learning_rate strength) V^T

  Values that reach zero are zero but for rounding: `energy_rank` of almost one,
  or a count of `s > 1e-6 max(s)`, is the rank to factor with afterwards. What
  is shipped are the dense weights. Exact zeros do not stay zero. The step needs
  an SVD of each kernel, which dominates the training of large ones: take it
  every few steps.

  Args:
    strength: `>= 0`.
    learning_rate: of the optimizer, a number or its schedule, by the calls of
      `update`. With momentum `m`, `optax.sgd` goes `1 / (1 - m)` as far along a
      steady gradient; give `learning_rate / (1 - m)`.
    every: takes the step in each `every`-th call, as far as for all of them.
    scheme: which matrix a convolution is: `'svd'`, `[height width in, out]`, or
      `'separable'`, `[height in, width out]`: as what will cut it wants.

  Raises:
    ValueError: a number out of range, another scheme; in `init`, an array that
      is no kernel.

  References:
    Cai, Candes & Shen, A Singular Value Thresholding Algorithm for Matrix
    Completion, 2010.
    Alvarez & Salzmann, Compression-aware Training of Deep Networks, 2017,
    arXiv 1711.02638.
  """
  rates = {} if callable(learning_rate) else {'learning_rate': learning_rate}
  for name, value in {'strength': strength, **rates}.items():
    if not 0 <= value < math.inf:
      raise ValueError(f'{name} is {value}; it must be finite and >= 0.')
  require_whole('every', every, 1)
  require_scheme(scheme)

  def shrink(w, calls):
    rate = learning_rate(calls) if callable(learning_rate) else learning_rate
    threshold = jnp.asarray(rate * every * strength, jnp.float32)
    return on_matrices(lambda m: nuclear(m, threshold), w, scheme)

  return projected(shrink, every)

"""Training towards low rank: singular values are pulled to zero."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.base import Compressor, checked, no_penalty
from jcompress.binarize.latent import require_choice
from jcompress.encoded import Dense
from jcompress.factor.separable import as_kernel, as_matrix
from jcompress.numerics.spectral import nuclear
from jcompress.numerics.wide import wide


class NuclearState(NamedTuple):
  calls: jax.Array  # of update so far, int32


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
  if every < 1:
    raise ValueError(f'every is {every}; it must be >= 1.')
  require_choice('scheme', scheme, ('svd', 'separable'))

  def init(params):
    for path, w in zip(
      tree.paths(params), jax.tree.leaves(params), strict=True
    ):
      if w.ndim < 2:
        raise ValueError(
          f'{path or "The array"} of shape {w.shape} is no kernel: it needs '
          'two axes or more. Select the kernels only.'
        )
    return params, NuclearState(jnp.zeros([], jnp.int32))

  def view(w, state):
    del state
    return w

  def encode(w, state):
    del state
    dense: Any = Dense
    return jax.tree.map(dense, w)

  def update(w, state, grads):
    del grads
    calls = state.calls + 1
    is_schedule = callable(learning_rate)
    rate = learning_rate(state.calls) if is_schedule else learning_rate
    threshold = jnp.asarray(rate * every * strength, jnp.float32)
    shrink = lambda: jax.tree.map(lambda x: _shrunk(x, threshold, scheme), w)
    if every == 1:
      return shrink(), NuclearState(calls)
    w = jax.lax.cond(calls % every == 0, shrink, lambda: w)
    return w, NuclearState(calls)

  return checked(Compressor(init, view, encode, no_penalty, update))


def _shrunk(
  w: Float[Array, '...'], threshold: Float[Array, ''], scheme: str
) -> Float[Array, '...']:
  whole = wide(tree.replicated(w))
  if scheme == 'separable' and w.ndim == 4:
    new = as_kernel(nuclear(as_matrix(whole), threshold), w.shape)
  else:
    matrix = whole.reshape(math.prod(w.shape[:-1]), w.shape[-1])
    new = nuclear(matrix, threshold).reshape(w.shape)
  return tree.placed_as(new.astype(w.dtype), w)

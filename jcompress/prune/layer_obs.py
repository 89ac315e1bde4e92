"""Optimal Brain Surgeon for a layer, from the second moments of its inputs."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jcompress import tree
from jcompress.finite import require_finite
from jcompress.numerics.whole import require_whole
from jcompress.prune.column_blocks import pattern_of, prune_columns
from jcompress.prune.exact_rows import eliminate, refit, select_cheapest
from jcompress.prune.inverse_factor import factor_inverse

_EXACT_WORK = 3e11  # of out * in^3: about ten seconds on two cores


class LayerReport(NamedTuple):
  """What `layer_obs` did. Every number is measured on the result."""

  sparsity: float  # fraction of the weights that are pruned
  error: float  # |X W' - X W|^2 / |X W|^2, under the Hessian without damping
  damping: float  # what was added to the diagonal of the Hessian
  singular: bool  # whether the Hessian has no inverse without that
  dead: int  # how many inputs were zero in all examples
  method: str


def layer_obs(
  w: Float[Array | np.ndarray, '*inputs out'],
  hessian: Float[Array | np.ndarray, 'in in'],
  *,
  sparsity: float | None = None,
  max_error: float | None = None,
  pattern: str | None = None,
  block: int = 1,
  damping: float = 0.01,
  method: str | None = None,
) -> tuple[
  Float[Array, '*inputs out'], Bool[Array, '*inputs out'], LayerReport
]:
  """Prunes a layer so that its outputs change least, and adjusts what is left.

  The error `|X W' - X W|^2 / 2N` is a quadratic in each output's weights with
  the one Hessian `H = X^T X / N`, so that Optimal Brain Surgeon is exact. Zeros
  stay zero and count as pruned.

  Args:
    w: kernel of a dense layer, or of a convolution seen as one: all axes but
      the last are inputs.
    hessian: `X^T X`, `in` the product of the axes of inputs, in their order, as
      `curvature.input_hessian(...)[path][0]` has it, also for a convolution;
      its scale does not matter.
    sparsity: fraction of the weights to prune, `0 .. 1`: exactly
      `round(sparsity * size)`, spread over the outputs as costs least.
    max_error: instead: prunes as long as the error relative to `|X W|^2` (see
      the report), with what the damping adds to it, does not exceed it, `>= 0`.
    pattern: instead: `'2:4'` keeps two of every four consecutive inputs of an
      output, `'n:m'` in general.
    block: prunes so many consecutive inputs of an output together, `>= 1`.
    damping: added to the diagonal of the Hessian, as a fraction of its mean
      over the inputs that are not dead, `>= 0`. It stands for the examples that
      were not seen: with fewer examples than inputs it decides.
    method: `'exact'` removes the cheapest weight of each output step by step,
      and the result is the least-squares refit of what is kept, to the last
      digit; time `out * in^3`. `'blocked'` decides on a block of 128 inputs at
      a time, for all outputs, and adjusts only the inputs that follow; time
      `in^2 (in + out)`. Without it exact wherever that takes seconds.

  Returns:
    The weights, the mask (for `with_mask`), and a report.

  Raises:
    ValueError: not exactly one of `sparsity`, `max_error`, `pattern`; one out
      of range or that does not divide the inputs; `max_error` without the exact
      method; a Hessian that does not fit, is not symmetric positive
      semi-definite, or has no inverse and no damping.

  >>> hessian = np.array([[4.0, 2, 0], [2, 3, 1], [0, 1, 2]])
  >>> w = np.array([[1.0], [0.75], [-0.5]], np.float32)
  >>> w, mask, _ = layer_obs(w, hessian, sparsity=1 / 3, damping=0.0)
  >>> print(w.ravel())
  [1.125 0.5   0.   ]

  References:
    Dong, Chen & Pan, Learning to Prune Deep Neural Networks via Layer-wise
    Optimal Brain Surgeon, 2017, arXiv 1705.07565.
    Frantar & Alistarh, Optimal Brain Compression, 2022, arXiv 2208.11580
    (`exact`).
    Frantar & Alistarh, SparseGPT, 2023, arXiv 2301.00774 (`blocked`).
  """
  require_finite(w, 'layer_obs')
  inputs = math.prod(w.shape[:-1])
  rows = tree.to_host(w).astype(np.float64).reshape(inputs, w.shape[-1]).T
  group = None if pattern is None else pattern_of(pattern, inputs)
  require_whole('block', block, 1)
  if inputs % block:
    raise ValueError(f'block is {block}; it must divide the {inputs} inputs.')
  _require_criterion(sparsity, max_error, pattern, block)
  method = _resolve_method(method, max_error, rows.shape)
  found = factor_inverse(hessian, inputs, damping)
  h, factor = found.hessian, found.factor

  gone = rows == 0
  energy = np.vdot(rows @ h, rows)
  if method == 'exact':
    order, loss = eliminate(rows, factor, group, block)
    # The allowance is for dead inputs, whose weights cost next to nothing.
    budget = np.inf if max_error is None else (max_error + 1e-15) * energy / 2
    target = None if sparsity is None else round(sparsity * rows.size)
    gone |= select_cheapest(rows, order, loss, block, target, budget)
    pruned = refit(rows, gone, found.damped)
  else:
    pruned = prune_columns(rows, factor, sparsity, group, block)
    gone |= pruned == 0

  new = pruned.astype(w.dtype)
  change = new.astype(np.float64) - rows
  error = np.vdot(change @ h, change) / energy if energy > 0 else 0.0
  report = LayerReport(
    sparsity=float(gone.sum() / max(1, gone.size)),
    error=float(error),
    damping=found.added,
    singular=found.singular,
    dead=int(found.dead.sum()),
    method=method,
  )
  form = lambda x: jnp.asarray(x.T.reshape(w.shape))
  return form(new), form(~gone), report


def _require_criterion(sparsity, max_error, pattern, block):
  if sum(x is not None for x in (sparsity, max_error, pattern)) != 1:
    raise ValueError(
      f'Give exactly one of sparsity, max_error and pattern, got {sparsity=}, '
      f'{max_error=}, {pattern=}.'
    )
  if sparsity is not None and not 0 <= sparsity <= 1:
    raise ValueError(f'sparsity is {sparsity}; it must lie in 0 .. 1.')
  if max_error is not None and not max_error >= 0:
    raise ValueError(f'max_error is {max_error}; it must be >= 0.')
  if pattern is not None and block > 1:
    raise ValueError(f'A {pattern} pattern is of single weights; got {block=}.')


def _resolve_method(method, max_error, shape):
  if method not in (None, 'exact', 'blocked'):
    raise ValueError(f"method is {method!r}; it must be 'exact' or 'blocked'.")
  if method is None:
    small = shape[0] * shape[1] ** 3 <= _EXACT_WORK
    method = 'exact' if small or max_error is not None else 'blocked'
  if method == 'blocked' and max_error is not None:
    raise ValueError('max_error needs the exact method, which knows each cost.')
  return method

"""Rounding to a step, where the inputs that follow make up for each error."""

import math

import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.code.arrays import to_device
from jcompress.encoded import Codebook
from jcompress.finite import require_finite
from jcompress.prune.column_blocks import prune_columns
from jcompress.prune.inverse_factor import factor_inverse
from jcompress.quantize.step_codebook import step_codebook
from jcompress.quantize.two_sided import round_both_ways


def step_feedback(
  w: Float[Array | np.ndarray, '*inputs out'],
  hessian: Float[Array | np.ndarray, 'in in'],
  step: float,
  *,
  damping: float = 0.05,
  outputs: Float[Array | np.ndarray, 'out out'] | None = None,
) -> Codebook:
  """Rounds a layer to multiples of one step, so that its outputs change least.

  The order and the corrections are those of `gptq`; the grid is one for the
  whole array, as an entropy coder wants it, and has no ends. Exact zeros stay
  zero. Where it is known what the outputs are worth, those that follow make up
  for errors, too.

  Args:
    w: kernel; all axes but the last are inputs.
    hessian: `X^T X` of the inputs, see `layer_obs`; its scale does not matter.
    step: distance of values, `> 0`.
    damping: added to the diagonal of the Hessian, as a fraction of its mean
      over the inputs that are not dead, `>= 0`; and to that of `outputs`.
    outputs: second moments of the gradients of the outputs, see `kronecker`.

  Raises:
    ValueError: NaN or inf, a step that is not positive or gives more than
      65,535 values; a Hessian that does not fit or has no inverse.

  References:
    Frantar et al., GPTQ, 2022, arXiv 2210.17323, algorithm 1.
    Tseng et al., Model-Preserving Adaptive Rounding, 2025, arXiv 2505.22988.
  """
  require_finite(w, 'step_feedback')
  inputs = math.prod(w.shape[:-1])
  if not 0 < step < np.inf:
    raise ValueError(f'step is {step}; it must be positive and finite.')
  found = factor_inverse(hessian, inputs, damping, sort=True)
  matrix = tree.to_host(w).astype(np.float64).reshape(inputs, w.shape[-1])
  if outputs is None:
    swept = np.empty_like(matrix)
    swept[found.order] = prune_columns(
      matrix[found.order].T,
      found.factor,
      rounded=lambda j, adjusted: np.rint(adjusted[:, j] / step) * step,
    ).T
  else:
    others = factor_inverse(outputs, w.shape[-1], damping, sort=True)
    swept = round_both_ways(matrix / step, found, others) * np.float64(step)
  leaf = step_codebook(
    swept.reshape(w.shape).astype(np.float32), step, strength=0
  )
  centers = np.rint(np.asarray(leaf.centers, np.float64) / step) * step
  make: type = Codebook
  return make(to_device(centers.astype(w.dtype)), leaf.codes)

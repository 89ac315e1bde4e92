"""Rounding to a step, where the inputs that follow make up for each error."""

import math

import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.code.arrays import to_device
from jcompress.encoded import Codebook
from jcompress.finite import require_finite
from jcompress.prune.column_blocks import prune_columns
from jcompress.prune.inverse_factor import Factored
from jcompress.quantize.step_codebook import step_codebook


def step_feedback(
  w: Float[Array | np.ndarray, '*inputs out'], found: Factored, step: float
) -> Codebook:
  """Rounds a layer to multiples of one step, so that its outputs change least.

  The order and the corrections are those of `gptq`; the grid is one for the
  whole array, as an entropy coder wants it, and has no ends. Exact zeros stay
  zero.

  Args:
    w: kernel; all axes but the last are inputs.
    found: of `factor_inverse(hessian, inputs, damping, sort=True)`.
    step: distance of values, `> 0`.

  Raises:
    ValueError: NaN or inf, a step that is not positive or gives more than
      65,535 values; a factor of another number of inputs.
  """
  require_finite(w, 'step_feedback')
  inputs = math.prod(w.shape[:-1])
  if len(found.order) != inputs:
    raise ValueError(
      f'The moments are of {len(found.order)} inputs, the kernel '
      f'{list(w.shape)} has {inputs}.'
    )
  if not 0 < step < np.inf:
    raise ValueError(f'step is {step}; it must be positive and finite.')
  rows = tree.to_host(w).astype(np.float64).reshape(inputs, w.shape[-1]).T
  swept = np.empty_like(rows)
  swept[:, found.order] = prune_columns(
    rows[:, found.order],
    found.factor,
    rounded=lambda j, adjusted: np.rint(adjusted[:, j] / step) * step,
  )
  leaf = step_codebook(
    swept.T.reshape(w.shape).astype(np.float32), step, strength=0
  )
  centers = np.rint(np.asarray(leaf.centers, np.float64) / step) * step
  make: type = Codebook
  return make(to_device(centers.astype(w.dtype)), leaf.codes)

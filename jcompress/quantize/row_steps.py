"""A table with finer steps for the rows that matter more."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.encoded import Codebook, Scaled
from jcompress.finite import require_finite
from jcompress.quantize.step_codebook import step_codebook
from jcompress.quantize.step_feedback import step_feedback

_MOST = 6.0  # octaves between the step of a row and that of an average row
_PER_OCTAVE = 4  # so that the scales of rows are few letters in a file


def row_steps(
  w: Float[Array | np.ndarray, 'rows out'],
  importance: Float[Array | np.ndarray, ' rows'],
  step: float,
  *,
  outputs: Float[Array | np.ndarray, 'out out'] | None = None,
  feedback: bool = True,
) -> Scaled:
  """Rounds the rows of a table to multiples of a step that each has.

  For the least `sum_i importance_i |change of row i|^2` at so many bits, the
  squared error of a row goes with the inverse of its importance: its step is
  `step * (importance / mean)^(-1/2)`, to a quarter of an octave, and within six
  octaves. Exact zeros stay zero.

  Args:
    w: a table.
    importance: of an error in each row, `>= 0`, such as a frequency.
    step: of a row of average importance, `> 0`.
    outputs: what errors of the entries of a row are worth together, see
      `kronecker`: those that are rounded later make up for earlier ones.
    feedback: whether they do so.

  Raises:
    ValueError: importance that does not fit, has NaN, or is nowhere positive;
      what `step_codebook` and `step_feedback` refuse.

  References:
    Cover and Thomas, Elements of Information Theory, 2006, section 10.3.3:
      parallel Gaussian sources.
  """
  require_finite(w, 'row_steps')
  h = np.asarray(importance, np.float64)
  if w.ndim != 2 or h.shape != w.shape[:1] or not (h >= 0).all() or not h.sum():
    raise ValueError(
      f'importance {list(h.shape)} for a table {list(w.shape)}: it must be a '
      'number for each row, none negative, and some above 0.'
    )
  with np.errstate(divide='ignore'):
    octaves = np.log2(h / h.mean()) / -2
  octaves = np.rint(np.clip(octaves, -_MOST, _MOST) * _PER_OCTAVE)
  factor = (2 ** (octaves / _PER_OCTAVE)).astype(np.float16)[:, None]
  rows = tree.to_host(w).astype(np.float32) / factor.astype(np.float32)
  make: Any = Codebook
  if outputs is None or not feedback:
    strength = {} if outputs is None else {'strength': 0.0}
    leaf = step_codebook(rows, step, **strength)
  else:
    turned = step_feedback(rows.T, outputs, step)
    leaf = make(turned.centers, jnp.asarray(np.asarray(turned.codes).T))
  scaled: Any = Scaled
  return scaled(leaf, jnp.asarray(factor), jnp.dtype(w.dtype))

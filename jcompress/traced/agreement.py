"""Whether two networks compute the same, up to the order of sums."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree


def require_equal(
  expected: Any,
  got: Any,
  tolerance: float | None,
  reference: str,
  hint: str = '',
) -> None:
  """Raises a `ValueError` unless outputs are equal up to rounding.

  Args:
    expected: pytree of arrays.
    got: of the same structure.
    tolerance: largest difference of an output, relative to the largest entry of
      that output. None: 1e-5, or 8 units in the last place in half precision.
    reference: what gave the expected outputs, for the message.
    hint: that ends the message.
  """
  paths = tree.paths(expected)
  pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(got), strict=True)
  for path, (a, b) in zip(paths, pairs, strict=True):
    if np.shape(a) != np.shape(b):
      raise ValueError(
        f'Output {path!r} has shape {np.shape(b)}, that of {reference} '
        f'{np.shape(a)}.'
      )
    if jnp.issubdtype(a.dtype, jax.dtypes.extended):
      continue
    limit = _rounding(a.dtype) if tolerance is None else tolerance
    a, b = (np.asarray(x).astype(np.float64) for x in (a, b))
    error = np.abs(a - b).max(initial=0)
    error = error / np.abs(a).max(initial=0) if error > 0 else error
    if not error <= limit:
      raise ValueError(
        f'Output {path!r} differs from that of {reference} by {error:.3g} of '
        f'its largest entry; {limit:.3g} are allowed.{hint}'
      )


def _rounding(dtype):
  """How far results in a dtype may differ that were summed differently."""
  if not jnp.issubdtype(dtype, jnp.inexact):
    return 0
  return max(1e-5, 8 * float(jnp.finfo(dtype).eps))

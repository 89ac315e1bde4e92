"""Which matrix a kernel is, to steps that change its singular values."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.binarize.latent import require_choice
from jcompress.factor.separable import as_kernel, as_matrix
from jcompress.numerics.wide import wide


def require_scheme(scheme: str) -> None:
  """Raises a `ValueError` for another scheme than the two that there are."""
  require_choice('scheme', scheme, ('svd', 'separable'))


def require_kernels(params: Any) -> None:
  """Raises a `ValueError` that names an array of fewer than two axes."""
  leaves = jax.tree.leaves(params)
  for path, w in zip(tree.paths(params), leaves, strict=True):
    if w.ndim < 2:
      raise ValueError(
        f'{path or "The array"} of shape {w.shape} is no kernel: it needs two '
        'axes or more. Select the kernels only.'
      )


def on_matrices(
  function: Callable[[Float[Array, 'm n']], Float[Array, 'm n']],
  params: Any,
  scheme: str,
) -> Any:
  """Changes each kernel of a tree as the matrix of a scheme, in float32.

  Args:
    function: of a matrix in at least float32.
    params: kernels; of a mesh they are made whole for it.
    scheme: `'svd'`, `[height width in, out]`, or `'separable'`, `[height in,
      width out]` for a convolution.
  """

  def change(w):
    whole = wide(tree.replicated(w))
    if scheme == 'separable' and w.ndim == 4:
      new = as_kernel(function(as_matrix(whole)), w.shape)
    else:
      matrix = whole.reshape(math.prod(w.shape[:-1]), w.shape[-1])
      new = function(matrix).reshape(w.shape)
    return tree.placed_as(new.astype(w.dtype), w)

  return jax.tree.map(change, params)

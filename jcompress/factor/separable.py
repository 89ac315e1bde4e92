"""Spatially separable kernels: a vertical and a horizontal convolution."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.factor.svd import require_rank
from jcompress.numerics.spectral import balanced_factors


def separable_factors(
  kernel: Float[Array, '...'], rank: int
) -> tuple[Float[Array, '...'], Float[Array, '...']]:
  """The nearest pair of a vertical and a horizontal convolution.

  `K[h, w, i, o] ~ sum_r V[h, i, r] H[w, r, o]` is a matrix of rows `(h, i)` and
  columns `(w, o)` of a rank, so that its truncated SVD is the best one of all.
  The factors share the singular values evenly.

  Stride, padding and dilation of the rows go to the vertical one, those of the
  columns to the horizontal one, and the bias behind it.

  Args:
    kernel: of a convolution, `[height, width, in, out]`.
    rank: channels between the two, `1 .. min(height in, width out)`.

  Returns:
    `vertical` `[height, 1, in, rank]`, `horizontal` `[1, width, rank, out]`.

  Raises:
    ValueError: the kernel has not four axes, or the rank is out of range.

  References:
    Jaderberg et al., Speeding up Convolutional Neural Networks with Low Rank
    Expansions, 2014, arXiv 1405.3866, scheme 2.
    Tai et al., Convolutional Neural Networks with Low-rank Regularization,
    2016, arXiv 1511.06067.
  """
  require_separable(kernel.shape, rank)
  h, w, n_in, n_out = kernel.shape
  matrix = as_matrix(tree.replicated(kernel))
  left, right = balanced_factors(matrix, rank)
  vertical = left.reshape(h, 1, n_in, rank)
  horizontal = jnp.moveaxis(right.reshape(rank, 1, w, n_out), 0, 2)
  return vertical.astype(kernel.dtype), horizontal.astype(kernel.dtype)


def as_matrix(kernel: Float[Array, 'h w i o']) -> Float[Array, 'hi wo']:
  """Rows for vertical position and input, columns for horizontal and output."""
  h, w, n_in, n_out = kernel.shape
  return kernel.transpose(0, 2, 1, 3).reshape(h * n_in, w * n_out)


def as_kernel(
  matrix: Float[Array, 'hi wo'], shape: tuple[int, ...]
) -> Float[Array, 'h w i o']:
  """Inverts `as_matrix` for a kernel of some shape."""
  h, w, n_in, n_out = shape
  return matrix.reshape(h, n_in, w, n_out).transpose(0, 2, 1, 3)


def require_separable(shape: tuple[int, ...], rank: int) -> None:
  """Raises a `ValueError` unless a kernel may have this rank."""
  if len(shape) != 4:
    raise ValueError(
      f'A weight of shape {tuple(shape)} has no rows and columns; it must be a '
      'kernel [height, width, in, out]. Select the convolutions only.'
    )
  h, w, n_in, n_out = shape
  require_rank(rank, (h * n_in, w * n_out), shape)

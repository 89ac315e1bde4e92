"""Depthwise-separable kernels: each channel filtered by itself, then mixed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.numerics.spectral import balanced_factors


def depthwise_factors(
  kernel: Float[Array, '...'],
) -> tuple[Float[Array, '...'], Float[Array, '...']]:
  """The nearest depthwise-separable convolution, one filter a channel.

  `K[h, w, i, o] ~ D[h, w, i] P[i, o]`: the slice of each input is a matrix of
  rows `(h, w)` and columns `o` of rank one, whose truncated SVD is the best one
  of all. Both factors share the singular value evenly.

  Args:
    kernel: of a convolution, `[height, width, in, out]`.

  Returns:
    `depthwise` `[height, width, 1, in]`, `pointwise` `[1, 1, in, out]`.

  Raises:
    ValueError: the kernel has not four axes.

  References:
    Howard et al., MobileNets, 2017, arXiv 1704.04861, section 3.1 (the layer).
  """
  require_depthwise(kernel.shape)
  h, w, n_in, n_out = kernel.shape
  slices = jnp.moveaxis(tree.replicated(kernel), 2, 0)
  matrices = slices.reshape(n_in, h * w, n_out)
  left, right = jax.vmap(lambda m: balanced_factors(m, 1))(matrices)
  depthwise = left[..., 0].T.reshape(h, w, 1, n_in)
  pointwise = right.reshape(1, 1, n_in, n_out)
  return depthwise.astype(kernel.dtype), pointwise.astype(kernel.dtype)


def require_depthwise(shape: tuple[int, ...]) -> None:
  """Raises a `ValueError` unless a kernel may have these factors."""
  if len(shape) != 4:
    raise ValueError(
      f'A weight of shape {tuple(shape)} has no rows and columns; it must be a '
      'kernel [height, width, in, out]. Select the convolutions only.'
    )

"""Spectra of kernels, and their ranks by the energy that they keep or EVBMF."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.binarize.latent import require_choice
from jcompress.factor.evbmf import evbmf_rank
from jcompress.factor.separable import as_matrix, require_separable
from jcompress.factor.svd import fold, require_covariance
from jcompress.factor.tucker2 import require_tucker2


def spectrum(
  w: Float[Array | np.ndarray, '...'],
  *,
  covariance: Float[Array | np.ndarray, 'm m'] | None = None,
  in_axes: Sequence[int] | None = None,
  scheme: str = 'svd',
) -> Float[np.ndarray, ' n']:
  """The singular values that a factorization in two cuts off, largest first.

  Of the kernel, whose squares beyond a rank are the squared error of
  `svd_factors` or `separable_factors`; with a covariance `X^T X`, of the
  responses `X W`. In float64 on the host.

  Args:
    w: kernel, as of `svd_factors`.
    covariance: as of `svd_factors`.
    in_axes: as of `svd_factors`.
    scheme: `'svd'`, or `'separable'` for a kernel `[height, width, in, out]`.

  Raises:
    ValueError: another scheme, one that has no covariance or axes, or what does
      not fit.

  >>> spectrum(np.diag([3.0, 4.0])).tolist()
  [4.0, 3.0]
  """
  require_choice('scheme', scheme, ('svd', 'separable'))
  if scheme == 'separable':
    if covariance is not None or in_axes is not None:
      raise ValueError("Only the scheme 'svd' has a covariance or in_axes.")
    require_separable(w.shape, 1)
    folded = as_matrix(jnp.asarray(w))
  else:
    folded, _ = fold(jnp.asarray(w), in_axes)
  matrix = tree.to_host(folded).astype(np.float64)
  if covariance is None:
    return np.linalg.svd(matrix, compute_uv=False)
  moments = tree.to_host(covariance).astype(np.float64)
  require_covariance(moments.shape, len(matrix))
  squares = np.linalg.eigvalsh(matrix.T @ moments @ matrix)[::-1]
  return np.sqrt(np.maximum(squares, 0))[: min(matrix.shape)]


def energy_rank(
  values: Float[Array | np.ndarray, ' n'] | Sequence[float], energy: float
) -> int:
  """The smallest rank that keeps a fraction of the squared singular values.

  `sum_(i <= r) s_i^2 >= energy sum s_i^2`. Of the squares: thresholds of the
  values themselves give other ranks.

  Args:
    values: singular values, in any order.
    energy: `0 .. 1`.

  Returns:
    `1 .. n`; 1 where all are zero.

  Raises:
    ValueError: no values, or an energy out of range.

  >>> energy_rank([2.0, 1.0, 1.0], 0.8)
  2
  """
  s = np.sort(np.asarray(values, np.float64))[::-1]
  if not 0 < energy <= 1 or not s.size:
    raise ValueError(
      f'energy is {energy} of {s.size} values; it must be > 0 and at most 1, '
      'of one value or more.'
    )
  largest = max(s[0], np.finfo(np.float64).tiny)
  kept = np.cumsum(np.square(s / largest))
  # What rounding adds is not to cost a rank.
  return int(np.searchsorted(kept, energy * kept[-1] * (1 - 1e-12)) + 1)


def tucker2_ranks(
  kernel: Float[Array | np.ndarray, '...'], rule: str | float
) -> tuple[int, int]:
  """Ranks of `tucker2`, from the kernel unfolded along inputs and outputs.

  Args:
    kernel: `[*window, in, out]`.
    rule: `'evbmf'`, or the energy that each unfolding keeps, `0 .. 1`.

  Returns:
    At least one each; `tucker2(*ranks)` may cost more than the kernel, see
    `Method.pays`.

  Raises:
    ValueError: another rule, or fewer than two axes.

  References:
    Kim et al., 2016, arXiv 1511.06530.
  """
  require_tucker2(kernel.shape, (1, 1))
  if isinstance(rule, str) and rule != 'evbmf':
    raise ValueError(
      f"The rule is {rule!r}; it must be 'evbmf' or an energy, 0 .. 1."
    )
  *window, n_in, n_out = kernel.shape
  flat = tree.to_host(kernel).astype(np.float64).reshape(-1, n_in, n_out)
  unfolded = (
    flat.transpose(1, 0, 2).reshape(n_in, -1),
    flat.transpose(2, 0, 1).reshape(n_out, -1),
  )
  if isinstance(rule, str):
    first, last = (max(1, evbmf_rank(m)) for m in unfolded)
  else:
    values = [np.linalg.svd(m, compute_uv=False) for m in unfolded]
    first, last = (energy_rank(s, rule) for s in values)
  size = len(flat)
  return min(first, size * last), min(last, size * first)

"""The rank of one kernel, by the energy that it keeps or by EVBMF."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.factor.evbmf import evbmf_rank
from jcompress.factor.tucker2 import require_tucker2


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

"""One codebook for all layers, its centers where errors matter or bits pay.

References:
  Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
    1612.01543.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Integer

from jcompress.base import Compressor
from jcompress.quantize import share
from jcompress.quantize.ecsq import ecsq_1d, ecsq_of_entropy, energy
from jcompress.quantize.kmeans import kmeans_1d, resolve_method
from jcompress.quantize.one_codebook import one_codebook


def hessian_kmeans_share(
  bits: int | None = None,
  *,
  k: int | None = None,
  importance: Any = None,
  start: str | None = None,
  method: str | None = None,
  seed: int = 0,
) -> Compressor:
  """Lets all weights of a network share `k` values, the important ones first.

  The centers minimize `sum_i h_i (w_i - c[a_i])^2` over the weights of all
  arrays together: with `h` the diagonal of the Hessian, twice what quantization
  adds to the loss at a minimum. The latent is the one codebook, in float32; its
  training sums the gradients of all members in all arrays. Exact zeros keep a
  code of their own, outside the `k`, and stay zero: also those of an array that
  has nothing else, so train such arrays before.

  Under `select(pattern, ...)` all arrays that match share the codebook. So give
  the method the whole network and one `k`: one `k` an array is `kmeans_share`.

  Args:
    bits: of a code, `1 .. 15`: `k = 2 ** bits`.
    k: instead of `bits`: how many values there are beside zero, `1 .. 65535`.
    importance: tree of arrays with the paths and shapes of the params that this
      compressor gets: diagonals of a Hessian, Fisher or Gauss-Newton matrix, or
      `second_moment(opt_state)`. Only ratios matter; what is not positive
      counts as a millionth of the mean. Default: all one.
    start: see `kmeans_1d`.
    method: see `kmeans_1d`.
    seed: see `kmeans_1d`.

  Raises:
    ValueError: not exactly one of `bits` and `k`; one out of range; a start or
      method that `kmeans_1d` does not have; in `init`, an importance of other
      paths or shapes than the params, with NaN or inf, or nowhere positive.

  References:
    Choi et al., 2017, eq. 7 and 8.
  """
  k = share.codebook_size(bits, k)
  resolve_method(method, start)

  def cluster(w, h):
    found = kmeans_1d(w, k, weights=h, start=start, method=method, seed=seed)
    return found.centers, found.codes

  return one_codebook(cluster, k, importance)


def uniform_share(
  step: float | None = None,
  *,
  k: int | None = None,
  importance: Any = None,
) -> Compressor:
  """Lets weights share a value that lie in one of equally wide bins.

  The bins are `round(w / step)`, one of them centred on zero; the value of a
  bin is the mean of its weights in all arrays, and bins without any are
  dropped. That wastes codes of one length on rare weights; with an entropy
  coder, as in `pack`, and many bins it is the best that a codebook can do. For
  the latent, zeros and the one codebook see `hessian_kmeans_share`.

  Args:
    step: width of a bin. Then the number of centers depends on the weights, and
      `init` cannot be traced.
    k: instead of `step`: how many bins there are from `-max|w|` to `max|w|`, an
      odd number in `1 .. 65535`.
    importance: of the weights in the means, see `hessian_kmeans_share`.

  Raises:
    ValueError: not exactly one of `step` and `k`; one out of range; in `init`,
      a step that gives more than 65,535 centers, or a wrong importance.

  References:
    Choi et al., 2017, section 4.2.
  """
  if (step is None) == (k is None):
    raise ValueError(f'Give exactly one of step and k, got {step=}, {k=}.')
  if k is not None and not (1 <= k <= 65535 and k % 2):
    raise ValueError(
      f'k is {k}; it must be odd, for a bin centred on zero, in 1 .. 65535.'
    )
  if step is not None and not 0 < step < np.inf:
    raise ValueError(f'step is {step}; it must be positive and finite.')

  def cluster(w, h):
    if step is not None:
      return uniform_1d(w, step, h)
    # A hair wider, so that the ends do not round up into bins of their own.
    return uniform_1d(w, (2 + 1e-6) * float(np.abs(w).max()) / k, h)

  return one_codebook(cluster, k, importance)


def ecsq_share(
  k: int,
  *,
  strength: float | None = None,
  bits: float | None = None,
  importance: Any = None,
  start: str = 'linear',
) -> Compressor:
  """Lets weights share values that are cheap under an entropy coder.

  Minimizes `D + strength * H`: the mean of `h_i (w_i - c[a_i])^2` over the
  weights of all arrays, as a fraction of what it is with one center for all,
  and the entropy of their codes in bits a weight, zeros not counted; see
  `ecsq_1d`. Of the `k` centers at the start the useful ones are left; the
  others stay zero, unused, and are not shipped. For the latent, zeros and the
  one codebook see `hessian_kmeans_share`.

  Args:
    k: how many centers to start from, `1 .. 65535`; many, such as 256.
    strength: the paper's lambda over the distortion of one center, so that it
      does not depend on the scales of weights and importance, `>= 0`. About
      `1.4 * 4 ** -bits` gives `bits`.
    bits: instead of `strength`: the entropy to stay below, `> 0`. The search
      takes seconds for half a million weights.
    importance: see `hessian_kmeans_share`.
    start: see `ecsq_1d`.

  Raises:
    ValueError: not exactly one of `strength` and `bits`; one of the arguments
      out of range; in `init`, a wrong importance.

  References:
    Choi et al., 2017, section 4.3.
  """
  k = share.codebook_size(None, k)
  if (strength is None) == (bits is None):
    raise ValueError(
      f'Give exactly one of strength and bits, got {strength=}, {bits=}.'
    )
  if strength is not None and not 0 <= strength < np.inf:
    raise ValueError(f'strength is {strength}; it must be finite and >= 0.')
  if bits is not None and not bits > 0:
    raise ValueError(f'bits is {bits}; it must be > 0.')
  if start not in ('linear', 'density'):
    raise ValueError(f"start is {start!r}; it must be 'linear' or 'density'.")

  def cluster(w, h):
    if bits is not None:
      found = ecsq_of_entropy(w, k, bits, weights=h, start=start)
    else:
      scale = energy(w, np.ones(w.shape) if h is None else h)
      found = ecsq_1d(w, k, strength * scale, weights=h, start=start)
    return found.centers, found.codes

  return one_codebook(cluster, k, importance)


def uniform_1d(
  w: Float[np.ndarray, ' n'],
  step: float,
  weights: Float[np.ndarray, ' n'] | None = None,
) -> tuple[Float32[np.ndarray, ' k'], Integer[np.ndarray, ' n']]:
  """Means of the weights in each bin `round(w / step)`, and their codes."""
  bins = np.round(w.astype(np.float64) / step)
  _, codes = np.unique(bins, return_inverse=True)
  size = codes.max() + 1
  if size > 65535:
    raise ValueError(
      f'step={step} gives {size} centers; at most 65535 are allowed. Make it '
      'larger.'
    )
  h = np.ones(w.shape) if weights is None else weights
  means = np.bincount(codes, h * w) / np.bincount(codes, h)
  return means.astype(np.float32), codes

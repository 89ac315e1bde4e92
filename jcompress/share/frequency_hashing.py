"""FreshNets: the frequencies of a kernel share values in hash buckets."""

import math

import numpy as np

from jcompress.base import Compressor
from jcompress.encoded.hashed_frequencies import (
  HashedFrequencies,
  band_count,
  bands,
  is_kernel,
  look_up_frequencies,
)
from jcompress.share.hashing import hashed, require_hashing


def hash_frequencies(
  ratio: float | None = None,
  *,
  buckets: int | None = None,
  alpha: float = 0.25,
  beta: float = 2.5,
  params: str = 'drawn',
  seed: int = 1691,
) -> Compressor:
  """Lets the frequencies of each convolution kernel share hash buckets.

  Of a kernel `[height, width, in, out]`, or with any number of spatial axes,
  the orthonormal DCT-II along the spatial axes is hashed:
  `F[j1, j2, c, o] = sign(p) w[h(p)]`, where the buckets of `h` are those of the
  band `j1 + j2`. Smooth kernels have small high frequencies, so that high bands
  get fewer buckets a frequency, see `band_buckets`. The gradient of a bucket is
  the signed sum over the DCT of `dL/dV`. An array without spatial axes has one
  band, and is hashed as by `hash_weights`.

  Args:
    ratio: of buckets to weights, `0 .. 1`. Each band has at least one bucket.
    buckets: instead of `ratio`: how many an array has, at least one a band.
    alpha: of the Beta curve, `0 .. 1`: below 1, low bands get more.
    beta: of the Beta curve, `>= 1`: above 1, high bands get fewer.
    params: as of `hash_weights`.
    seed: as of `hash_weights`.

  Raises:
    ValueError: not exactly one of `ratio` and `buckets`; an option out of
      range; in `init`, fewer buckets than bands, spatial axes of more than
      256 or 65,536 together, or an array of 2^31 or more weights.

  References:
    Chen et al., Compressing Convolutional Neural Networks in the Frequency
    Domain, 2016, arXiv 1506.04449.
    Chen et al., Compressing Neural Networks with the Hashing Trick, 2015,
    arXiv 1504.04788.
  """
  require_hashing(ratio, buckets, params, seed)
  if not (0 < alpha <= 1 and 1 <= beta < np.inf):
    raise ValueError(
      f'alpha is {alpha}, beta is {beta}; need 0 < alpha <= 1 and beta >= 1.'
    )

  def counts(shape):
    total = buckets
    if total is None:
      total = max(band_count(shape), round(math.prod(shape) * ratio))
    return band_buckets(shape, total, alpha, beta)

  def expand(w, seed, positions):
    return look_up_frequencies(w, seed, positions, counts(positions.shape))

  def leaf(w, seed, shape):
    return HashedFrequencies(w, seed, shape, counts(shape))

  count = lambda shape: sum(counts(shape))
  return hashed(count, expand, leaf, params, seed)


def band_buckets(
  shape: tuple[int, ...], total: int, alpha: float, beta: float
) -> tuple[int, ...]:
  """Shares buckets out over the bands of a kernel.

  Band `j` of `n` gets `c x^(alpha - 1) (1 - x)^(beta - 1)` buckets for each of
  its frequencies, at `x = (j + 1/2) / n`, but at most one each, and one at
  least; `c` makes the total. More than one each if there are more buckets than
  frequencies.

  Args:
    shape: of the kernel.
    total: buckets of all bands.
    alpha: see `hash_frequencies`.
    beta: see `hash_frequencies`.

  Raises:
    ValueError: fewer buckets than bands, or spatial axes that are too long.

  >>> band_buckets((3, 3, 10, 20), 450, 0.25, 2.5)
  (200, 140, 87, 21, 2)
  """
  count = band_count(shape)
  if not is_kernel(shape):
    raise ValueError(
      f'A kernel {list(shape)} is too large: its spatial axes, all but the '
      'last two, may be 256 long and 65,536 all together.'
    )
  if total < count:
    raise ValueError(
      f'A kernel {list(shape)} has {count} bands of frequencies; give at least '
      f'that many buckets, not {total}.'
    )
  places = math.prod(shape[-2:])
  sizes = places * np.bincount(bands(shape).ravel(), minlength=count)
  sizes = np.maximum(sizes, 1)
  x = (np.arange(count) + 0.5) / count
  wanted = sizes * x ** (alpha - 1) * (1 - x) ** (beta - 1)
  most = sizes * max(1, total / sizes.sum())
  low, high = 0.0, float((most / wanted).max())
  for _ in range(100):
    middle = (low + high) / 2
    enough = np.clip(middle * wanted, 1, most).sum() >= total
    low, high = (low, middle) if enough else (middle, high)
  share = np.clip(high * wanted, 1, most)
  found = np.floor(share).astype(int)
  up = np.argsort(found - share, kind='stable')[: total - found.sum()]
  found[up] += 1
  return tuple(int(n) for n in found)

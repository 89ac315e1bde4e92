"""k-means of vectors: codebooks for product and residual quantization."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped, UInt

from jcompress import exact, tree
from jcompress.quantize.kmeans_plus_plus import choose_start

MAX_K = 65536
_TILE = 2**20  # distances at a time


class VectorKMeans(NamedTuple):
  """A clustering of vectors.

  Attributes:
    centers: `[k, d]`. Where fewer than `k` vectors are distinct, some centers
      are repeated, and no code points to a repetition.
    codes: `[n]`, the nearest center of each vector.
    distortion: sum of importance times squared distance to the center.
  """

  centers: Float32[Array, '*blocks k d']
  codes: UInt[Array, '*blocks n']
  distortion: Float32[Array, '*blocks']


class _Fit(NamedTuple):
  centers: jax.Array  # [k, d]
  codes: jax.Array  # [n], int32
  errors: jax.Array  # [n], importance times squared distance
  shifts: jax.Array  # [k, d], sums of importance times (x - center)
  mass: jax.Array  # [k], sums of importance
  distortions: jax.Array  # [k], sums of errors


def vector_kmeans(
  x: Shaped[Array | np.ndarray, '...'],
  k: int,
  *,
  weights: Shaped[Array | np.ndarray, '...'] | None = None,
  seed: int = 0,
  iterations: int = 25,
  samples: int = 16384,
) -> VectorKMeans:
  """Finds `k` centers that make `sum_i h_i |x_i - c[code_i]|^2` small.

  Lloyd's iteration from a greedy k-means++ start: from centers chosen one by
  one, each the best of `2 + log k` vectors drawn with probabilities that grow
  with the squared distance to the centers before. A cluster that runs empty
  takes the farthest member of the worst other one. With at least as many
  centers as distinct vectors, the distortion is exactly zero, if the start
  looks at all of them.

  Takes `O(n k d)` time an iteration; beside the vectors, memory for `2**20`
  distances and one more copy of one block.

  >>> points = np.array([[0.0, 0], [0, 2], [9, 9], [9, 7]])
  >>> found = vector_kmeans(points, 2)
  >>> sorted(found.centers.tolist())
  [[0.0, 1.0], [9.0, 8.0]]
  >>> float(found.distortion)
  4.0

  Args:
    x: `n` vectors of length `d`, as float32; or blocks of them `[blocks, n,
      d]`, each clustered by itself.
    k: number of centers, `1 .. 65536`.
    weights: importance `h` of each vector, `>= 0`; of weight zero it is coded
      but moves no center. Default: all one.
    seed: of the start.
    iterations: at most, `>= 0`; stops when the distortion no longer falls. As
      long as a cluster is empty, up to `k` more.
    samples: vectors that the start looks at, `>= 1`, where there are more of
      them; at least `4 k`.

  Raises:
    ValueError: no vectors, or of length zero; NaN or inf; `k`, `iterations` or
      `samples` out of range; weights of another shape, negative or all zero.

  References:
    Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding,
      2007: the start.
    Lloyd, Least Squares Quantization in PCM, 1982.
  """
  check_settings(k, iterations)
  if samples < 1:
    raise ValueError(f'samples is {samples}; it must be >= 1.')
  _check(x, weights)
  x = jnp.asarray(x, jnp.float32)
  if weights is not None:
    weights = jnp.asarray(weights, jnp.float32)
  blocks = x if x.ndim == 3 else x[None]
  if weights is not None and x.ndim == 2:
    weights = weights[None]
  n, rng = x.shape[-2], np.random.default_rng(seed)
  marks = rng.random((k, 2 + int(math.log(k))), np.float32)
  samples = max(samples, 4 * k)
  sample = rng.integers(0, n, samples, np.int32) if samples < n else None
  found = _cluster_blocks(blocks, weights, marks, sample, iterations)
  return found if x.ndim == 3 else VectorKMeans(*(a[0] for a in found))


def check_settings(k: int, iterations: int) -> None:
  """Raises a `ValueError` if `k` or `iterations` is out of range."""
  if not 1 <= k <= MAX_K:
    raise ValueError(f'k is {k}; it must lie in 1 .. {MAX_K}.')
  if iterations < 0:
    raise ValueError(f'iterations is {iterations}; it must be >= 0.')


def _check(x, weights):
  if x.ndim not in (2, 3) or not x.shape[-2] or not x.shape[-1]:
    raise ValueError(
      f'x has shape {x.shape}; it must be [n, d] or [blocks, n, d], with some '
      'vectors of some length.'
    )
  _check_finite(x, 'x')
  if weights is None:
    return
  if weights.shape != x.shape[:-1]:
    raise ValueError(
      f'weights has shape {weights.shape}; it must be {x.shape[:-1]}, one for '
      'each vector.'
    )
  _check_finite(weights, 'weights')
  if isinstance(weights, jax.core.Tracer):
    return
  h = tree.to_host(weights)
  if (h < 0).any() or not (h.max(-1) > 0).all():
    raise ValueError(
      'weights must be >= 0 and not all zero, in each block. Clamp a Hessian '
      'diagonal at a small positive number.'
    )


def _check_finite(x, name):
  if isinstance(x, jax.core.Tracer):
    return
  with np.errstate(over='ignore'):
    is_finite = np.isfinite(tree.to_host(x).astype(np.float32, copy=False))
  if not is_finite.all():
    raise ValueError(
      f'{name} has NaN, inf or values beyond float32; it must be finite.'
    )


@jax.jit
def _cluster_blocks(x, weights, marks, sample, iterations) -> VectorKMeans:
  def cluster(block):
    return _cluster(*block, marks, sample, iterations)

  return VectorKMeans(*jax.lax.map(cluster, (x, weights)))


def _cluster(x, h, marks, sample, iterations):
  n = len(x)
  # By powers of two, so that a center that is a vector is so to the last bit.
  exponent, h_exponent = _exponent(x), 0
  x = jnp.ldexp(x, -exponent)
  if h is None:
    h = jnp.ones(n)
  else:
    h_exponent = _exponent(h)
    h = jnp.ldexp(h, -h_exponent)
  # Distances are differences of large numbers unless the mean is near zero.
  mean = x.mean(0)
  points = jnp.concatenate([x - mean, jnp.ones((n, 1))], 1)

  def fit_to(centers):
    return _measure(x, h, centers, _nearest(points, centers - mean))

  if sample is None:
    chosen, codes = choose_start(x, h, marks)
    fit = _measure(x, h, x[chosen], codes)
  else:
    chosen, _ = choose_start(x[sample], h[sample], marks)
    fit = fit_to(x[sample[chosen]])
  fit = _improve(x, fit, fit_to, iterations)
  distortion = jnp.ldexp(fit.distortions.sum(), 2 * exponent + h_exponent)
  codes = fit.codes.astype(jnp.uint8 if len(marks) <= 256 else jnp.uint16)
  return jnp.ldexp(fit.centers, exponent), codes, distortion


def _exponent(x):
  return jnp.frexp(jnp.abs(x).max())[1]


def _nearest(points, centers):
  """Codes of homogeneous points `(x, 1)`, some at a time.

  With `(-c, c^2 / 2)` the scores come out of one product, and two plain minima
  beside each other are much faster than one `argmin`.
  """
  n, k = len(points), len(centers)
  norms = jnp.square(centers).sum(1, keepdims=True) / 2
  lines = jnp.concatenate([-centers, norms], 1)

  def search(points):
    scores = exact.matmul(lines, points.T)
    numbers = jax.lax.broadcasted_iota(jnp.float32, scores.shape, 0)
    is_least = scores <= scores.min(0)
    return jnp.where(is_least, numbers, float(k)).min(0).astype(jnp.int32)

  size = min(n, max(1, _TILE // k))
  tiles = -(-n // size)
  points = jnp.pad(points, ((0, tiles * size - n), (0, 0)))
  codes = jax.lax.map(search, points.reshape(tiles, size, -1))
  return codes.reshape(-1)[:n]


def _measure(x, h, centers, codes) -> _Fit:
  offsets = x - centers[codes]
  errors = h * jnp.square(offsets).sum(1)
  parts = jnp.concatenate(
    [offsets * h[:, None], h[:, None], errors[:, None]], 1
  )
  sums = jnp.zeros((len(centers), parts.shape[1])).at[codes].add(parts)
  return _Fit(centers, codes, errors, sums[:, :-2], sums[:, -2], sums[:, -1])


def _improve(x, fit: _Fit, fit_to, iterations):
  """Lloyd's iteration."""
  k = len(fit.centers)

  def goes_on(carry):
    fit, improves, i = carry
    has_empty = (fit.mass == 0).any()
    more = (i < iterations) | (has_empty & (i < iterations + k))
    return improves & more & (fit.distortions.sum() > 0)

  def step(carry):
    fit, _, i = carry
    new = fit_to(_moved(x, fit))
    improves = new.distortions.sum() < fit.distortions.sum()
    keep = functools.partial(jnp.where, improves)
    return jax.tree.map(keep, new, fit), improves, i + 1

  return jax.lax.while_loop(goes_on, step, (fit, jnp.bool_(True), 0))[0]


def _moved(x, fit: _Fit):
  """Centers at the means; those of empty clusters where they help most."""
  is_empty = fit.mass == 0
  mass = jnp.where(is_empty, 1, fit.mass)[:, None]
  # Means as shifts: the mean of equal vectors is that vector, without rounding.
  centers = fit.centers + fit.shifts / mass

  def split():
    k, n = len(centers), len(x)
    worst = jnp.zeros(k).at[fit.codes].max(fit.errors)
    is_worst = fit.errors == worst[fit.codes]
    numbers = jnp.where(is_worst, jnp.arange(n, dtype=jnp.int32), n)
    farthest = jnp.full(k, n, jnp.int32).at[fit.codes].min(numbers)
    donors = jnp.argsort(-fit.distortions)[jnp.cumsum(is_empty) - 1]
    is_moved = is_empty & (fit.distortions[donors] > 0)
    return jnp.where(is_moved[:, None], x[farthest[donors]], centers)

  return jax.lax.cond(is_empty.any(), split, lambda: centers)

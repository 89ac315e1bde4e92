"""k-means of vectors: codebooks for product and residual quantization."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped, UInt

from jcompress import tree
from jcompress.numerics.whole import require_whole
from jcompress.quantize import lloyd
from jcompress.quantize.kmeans_plus_plus import choose_start

MAX_K = 65536


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
  most = jnp.int32(min(iterations, 2**31 - 1 - k))
  found = _cluster_blocks(blocks, weights, marks, sample, most)
  return found if x.ndim == 3 else VectorKMeans(*(a[0] for a in found))


def check_settings(k: int, iterations: int) -> None:
  """Raises a `ValueError` if `k` or `iterations` is out of range."""
  require_whole('k', k, 1, MAX_K)
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
    h = jnp.ones(n, jnp.float32)
  else:
    h_exponent = _exponent(h)
    h = jnp.ldexp(h, -h_exponent)
  # Distances are differences of large numbers unless the mean is near zero.
  mean = x.mean(0, keepdims=True)
  points = jnp.concatenate([x - mean, jnp.ones((n, 1), jnp.float32)], 1)

  def fit_to(centers):
    return lloyd.measure(x, h, centers, lloyd.nearest(points, centers - mean))

  if sample is None:
    chosen, codes = choose_start(x, h, marks)
    fit = lloyd.measure(x, h, x[chosen], codes)
  else:
    chosen, _ = choose_start(x[sample], h[sample], marks)
    fit = fit_to(x[sample[chosen]])
  fit = lloyd.improve(x, fit, fit_to, iterations)
  distortion = jnp.ldexp(fit.distortions.sum(), 2 * exponent + h_exponent)
  codes = fit.codes.astype(jnp.uint8 if len(marks) <= 256 else jnp.uint16)
  return jnp.ldexp(fit.centers, exponent), codes, distortion


def _exponent(x):
  return jnp.frexp(jnp.abs(x).max())[1]

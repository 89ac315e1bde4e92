"""Product quantization: sub-vectors of a weight share codewords."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, UInt

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import Product
from jcompress.leafwise import leafwise
from jcompress.quantize.vector_kmeans import check_settings, vector_kmeans


class ProductState(NamedTuple):
  """Which codewords make up the sub-vectors of a weight."""

  codes: jax.Array  # [stages, *other_axes, blocks], unsigned
  along: jax.Array  # [entries of the axis that is cut]: only its shape is used


def product_quantize(
  k: int = 256,
  *,
  length: int = 4,
  axis: int = 0,
  seed: int = 0,
  iterations: int = 25,
) -> Compressor:
  """Cuts an axis into blocks and gives each its own codebook, by k-means.

  The sub-vectors of block `b`, one for each place along the other axes, become
  codewords: `view = centers[b, codes]`. The latent are the codebooks, `[1,
  blocks, k, length]`, and the gradient of a codeword is the sum over its
  members. A kernel `[m, n]` cut along the axis of `n` into `s` blocks is stored
  in `32 k n + m s log2 k` bits instead of `32 m n` (float32; the codes before
  entropy coding). If `k` is at least the number of sub-vectors, the view is the
  weight.

  Exact zeros do not stay zero.

  Args:
    k: codewords of a block, `1 .. 65536`.
    length: entries of a sub-vector, `>= 1`; where it does not divide the axis,
      the last block is filled up with zeros.
    axis: of the weight that is cut, negative from the end. 0 cuts a dense
      kernel `[in, out]` along its inputs; 2 a convolution's kernel `[height,
      width, in, out]` along its input channels, with codebooks shared by all
      kernel positions, as in the second paper.
    seed: of the start of k-means.
    iterations: of k-means at most, see `vector_kmeans`.

  Raises:
    ValueError: an argument out of range, or a weight without such an axis or
      with fewer than two axes.

  References:
    Gong et al., Compressing Deep Convolutional Networks using Vector
      Quantization, 2014, arXiv 1412.6115, section 3.2.2.
    Wu et al., Quantized Convolutional Neural Networks for Mobile Devices, 2016,
      arXiv 1512.06473, section 3.1: layouts, computing without decoding.
  """
  return vector_quantize(k, 1, length, axis, seed, iterations)


def vector_quantize(
  k: int,
  stages: int,
  length: int | None,
  axis: int,
  seed: int,
  iterations: int,
) -> Compressor:
  """Sums of one codeword a stage; see `product_quantize`, `residual_quantize`.

  Raises:
    ValueError: an argument out of range, or a weight without such an axis or
      with fewer than two axes.
  """
  check_settings(k, iterations)
  if stages < 1:
    raise ValueError(f'stages is {stages}; it must be >= 1.')
  if length is not None and length < 1:
    raise ValueError(f'length is {length}; it must be >= 1.')

  def init(w):
    cut = _resolve_axis(axis, w.shape)
    placed = lambda state: state
    if isinstance(w, jax.core.Tracer):
      w = tree.replicated(w)
    else:
      placed = lambda state, w=w: _placed_like(state, w, cut)
      w = jnp.asarray(tree.to_host(w))
    rows = jnp.moveaxis(w, cut, -1)
    centers, codes = [], []
    vectors = _vectors(rows, length or max(1, w.shape[cut]))
    for t in range(stages):
      words, numbers, vectors = _stage(
        vectors, w.dtype, k, seed + t, iterations
      )
      centers.append(words)
      codes.append(numbers.T.reshape(*rows.shape[:-1], len(words)))
    along = jnp.zeros(w.shape[cut], jnp.uint8)
    return placed((jnp.stack(centers), ProductState(jnp.stack(codes), along)))

  def encode(centers, state):
    shape = list(state.codes.shape[1:-1])
    cut = axis % (len(shape) + 1)
    shape.insert(cut, len(state.along))
    return Product(centers, state.codes, cut, tuple(shape))

  def view(centers, state):
    return encode(centers, state).decode()

  return leafwise(init, view, encode)


def _stage(
  vectors: Float[Array, 'blocks n length'], dtype, k, seed, iterations
) -> tuple[
  Float[Array, 'blocks k length'],
  UInt[Array, 'blocks n'],
  Float[Array, 'blocks n length'],
]:
  """Codebooks, codes, and what they leave of the vectors."""
  if vectors.size:
    found = vector_kmeans(vectors, k, seed=seed, iterations=iterations)
    centers, codes = found.centers.astype(dtype), found.codes
  else:
    blocks, n, length = vectors.shape
    centers = jnp.zeros((blocks, k, length), dtype)
    codes = jnp.zeros((blocks, n), jnp.uint8)
  near = jax.vmap(lambda words, i: words[i])(centers.astype(jnp.float32), codes)
  return centers, codes, vectors - near


def _vectors(rows, length):
  """Sub-vectors `[blocks, n, length]` along the last axis."""
  form = math.prod(rows.shape[:-1]), rows.shape[-1]
  rows = rows.astype(jnp.float32).reshape(form)
  blocks = -(-rows.shape[1] // length)
  rows = jnp.pad(rows, ((0, 0), (0, blocks * length - rows.shape[1])))
  return jnp.swapaxes(rows.reshape(len(rows), blocks, length), 0, 1)


def _resolve_axis(axis, shape):
  if len(shape) < 2:
    raise ValueError(
      f'A weight of shape {shape} has no vectors to share codewords: it needs '
      'two axes or more. Select the kernels only.'
    )
  if not -len(shape) <= axis < len(shape):
    raise ValueError(
      f'axis is {axis}; a weight of shape {shape} has the axes '
      f'{-len(shape)} .. {len(shape) - 1}.'
    )
  return axis % len(shape)


def _placed_like(found, w, cut):
  """Codes are sharded as the weight is along the axes they have in common."""
  sharding = getattr(w, 'sharding', None)
  if not isinstance(sharding, NamedSharding) or sharding.num_devices == 1:
    return found
  spec = [*sharding.spec, *[None] * (w.ndim - len(sharding.spec))]
  del spec[cut]
  place = lambda x, *spec: jax.device_put(
    x, NamedSharding(sharding.mesh, PartitionSpec(*spec))
  )
  centers, state = found
  codes = place(state.codes, None, *spec, None)
  return place(centers), ProductState(codes, place(state.along))

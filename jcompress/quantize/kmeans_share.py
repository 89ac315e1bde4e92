"""Trained quantization: weights of a layer share k values, and these learn."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.base import Compressor, leafwise
from jcompress.encoded import Codebook
from jcompress.quantize.kmeans import kmeans_1d, resolve_method

_BLOCK = 64


class ShareState(NamedTuple):
  """Which weights share a value. Shapes depend on the weight's and `k` only."""

  codes: jax.Array  # of the weight: 0 for zero, j + 1 for the j-th center
  members: jax.Array  # [blocks, 64]: positions of weights with one code, int32
  owners: jax.Array  # [blocks]: the center of each block, int32
  used: jax.Array  # how many blocks have members, the first ones, int32


def kmeans_share(
  bits: int | None = None,
  *,
  k: int | None = None,
  start: str | None = None,
  method: str | None = None,
  seed: int = 0,
) -> Compressor:
  """Lets the weights of each array share `k` trained values.

  The latent of an array is its codebook `c`, the state the codes `i` of its
  weights; `view = c[i]`, so that the gradient of a shared value is the sum of
  the gradients of its members. Exact zeros keep a code of their own, outside
  the `k`, and stay zero.

  Args:
    bits: of a code, `1 .. 15`: `k = 2 ** bits`.
    k: instead of `bits`: how many values an array has beside zero,
      `1 .. 65535`.
    start: see `kmeans_1d`.
    method: see `kmeans_1d`.
    seed: see `kmeans_1d`.

  Raises:
    ValueError: not exactly one of `bits` and `k`; one out of range; a start or
      method that `kmeans_1d` does not have.

  References:
    Han et al., Deep Compression, 2016, arXiv 1510.00149, section 3.
  """
  k = _codebook_size(bits, k)
  resolve_method(method, start)
  code_dtype = np.uint8 if k < 256 else np.uint16

  def cluster(w):
    w = np.asarray(w)
    live = w != 0
    centers, codes = np.zeros(k, w.dtype), np.zeros(w.shape, code_dtype)
    if live.any():
      found = kmeans_1d(w[live], k, start=start, method=method, seed=seed)
      centers = found.centers.astype(w.dtype)
      codes[live] = found.codes.astype(code_dtype) + code_dtype(1)
    return centers, ShareState(codes, *_group_by_code(codes, k))

  def init(w):
    if isinstance(w, jax.core.Tracer):
      blocks = _block_count(w.size, k)
      form = jax.ShapeDtypeStruct
      state = ShareState(
        form(w.shape, code_dtype),
        form((blocks, _BLOCK), np.int32),
        form((blocks,), np.int32),
        form((), np.int32),
      )
      forms = form((k,), w.dtype), state
      return jax.pure_callback(cluster, forms, w, vmap_method='sequential')
    centers, state = cluster(tree.to_host(w))
    state = state._replace(codes=_placed_like(state.codes, w))
    return jax.tree.map(jnp.asarray, (centers, state))

  def encode(centers, state):
    return Codebook(_with_zero(centers), state.codes)

  return leafwise(init, view=look_up, encode=encode)


@jax.custom_vjp
def look_up(
  centers: Float[Array, ' k'], state: ShareState
) -> Float[Array, '*shape']:
  """Values of codes: zero for code 0, `centers[code - 1]` for the others.

  The gradient of a center is the sum, in float32, of those of its members. It
  is what differentiating the indexing gives, without its slow scatter: blocks
  of members are gathered and summed, and only the sums of blocks scattered.
  """
  # A gather from concatenated centers would branch on every weight.
  nearest = centers.at[state.codes.astype(jnp.int32) - 1].get(
    mode='clip', out_sharding=jax.typeof(state.codes).sharding
  )
  return jnp.where(state.codes == 0, jnp.zeros([], centers.dtype), nearest)


def _look_up_forward(centers, state):
  return look_up(centers, state), (centers, state)


def _look_up_backward(residuals, grad):
  centers, (_, members, owners, used) = residuals
  flat = tree.replicated(grad).ravel().astype(jnp.float32)

  def total(blocks):
    parts = jnp.take(flat, members[:blocks], mode='fill', fill_value=0).sum(-1)
    start = jnp.zeros(centers.shape, jnp.float32)
    return start.at[owners[:blocks]].add(parts, mode='promise_in_bounds')

  few = len(owners) // 8  # enough for a pruned weight
  sums = jax.lax.cond(
    used <= few, lambda: total(few), lambda: total(len(owners))
  )
  return sums.astype(centers.dtype), None


look_up.defvjp(_look_up_forward, _look_up_backward)


def _group_by_code(codes, k):
  """Positions of the weights of each center, in blocks of one center each.

  Unfilled places hold the size of the weight, which a gather reads as zero.
  """
  flat = codes.ravel()
  blocks = _block_count(flat.size, k)
  members = np.full((blocks * _BLOCK,), flat.size, np.int32)
  owners = np.zeros(blocks, np.int32)
  order = np.argsort(flat, kind='stable')
  ends = np.cumsum(np.bincount(flat, minlength=k + 1))
  block = 0
  for j in range(k):
    mine = order[ends[j] : ends[j + 1]]
    used = -(-mine.size // _BLOCK)
    members[block * _BLOCK : block * _BLOCK + mine.size] = mine
    owners[block : block + used] = j
    block += used
  return members.reshape(blocks, _BLOCK), owners, np.int32(block)


def _block_count(size, k):
  return size // _BLOCK + min(k, size)


def _with_zero(centers):
  return jnp.concatenate([jnp.zeros(1, centers.dtype), centers])


def _placed_like(codes, w):
  if isinstance(w, jax.Array) and len(w.sharding.device_set) > 1:
    return jax.device_put(codes, w.sharding)
  return codes


def _codebook_size(bits, k):
  if (bits is None) == (k is None):
    raise ValueError(f'Give exactly one of bits and k, got {bits=}, {k=}.')
  if bits is not None and not 1 <= bits <= 15:
    raise ValueError(f'bits is {bits}; it must lie in 1 .. 15.')
  size = 2**bits if bits is not None else k
  if not 1 <= size <= 65535:
    raise ValueError(f'k is {size}; it must lie in 1 .. 65535.')
  return size

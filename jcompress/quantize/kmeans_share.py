"""Trained quantization: weights of a layer share k values, and these learn."""

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.base import Compressor
from jcompress.encoded import Codebook
from jcompress.leafwise import leafwise
from jcompress.quantize import share
from jcompress.quantize.kmeans import kmeans_1d, resolve_method


def kmeans_share(
  bits: int | None = None,
  *,
  k: int | None = None,
  start: str | None = None,
  method: str | None = None,
  keep_zeros: bool = False,
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
    keep_zeros: whether an array that is all zeros at `init` stays so. Otherwise
      its weights are dealt out to the values at random, and these learn.
    seed: see `kmeans_1d`.

  Raises:
    ValueError: not exactly one of `bits` and `k`; one out of range; a start or
      method that `kmeans_1d` does not have.

  References:
    Han et al., Deep Compression, 2016, arXiv 1510.00149, section 3.
  """
  k = share.codebook_size(bits, k)
  resolve_method(method, start)

  def cluster(w):
    live = w != 0
    centers = np.zeros(k, w.dtype)
    codes = np.zeros(w.shape, share.code_dtype(k))
    if live.any():
      found = kmeans_1d(w[live], k, start=start, method=method, seed=seed)
      centers = found.centers.astype(w.dtype)
      codes[live] = found.codes.astype(codes.dtype) + codes.dtype.type(1)
    elif not keep_zeros:
      dealt = np.random.default_rng(seed).integers(1, k + 1, w.shape)
      codes = dealt.astype(codes.dtype)
    return centers, share.group_by_code(codes, k)

  def init(w):
    form = lambda: (
      jax.ShapeDtypeStruct((k,), w.dtype),
      share.state_form(w.shape, k),
    )
    centers, state = share.on_host(cluster, form, w)
    state = share.placed_like(state, w)
    return jax.tree.map(jnp.asarray, (centers, state))

  def encode(centers, state):
    is_zero = share.look_up(centers, state) == 0
    codes = jnp.where(is_zero, jnp.zeros_like(state.codes), state.codes)
    return Codebook(share.with_zero(centers), codes)

  return leafwise(init, view=share.look_up, encode=encode)

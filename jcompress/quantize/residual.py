"""Residual quantization: codewords of vectors, and of what these leave."""

from jcompress.base import Compressor
from jcompress.quantize.product import vector_quantize


def residual_quantize(
  k: int = 256,
  *,
  stages: int = 2,
  length: int | None = None,
  axis: int = 0,
  seed: int = 0,
  iterations: int = 25,
) -> Compressor:
  """Makes each vector the sum of one codeword from each of some codebooks.

  k-means finds the first codebook; the next one is found for the residuals that
  are left, and so on: `view = sum_t centers[t, b, codes[t]]`. The latent are
  the codebooks, `[stages, blocks, k, length]`, and the gradient of a codeword
  is the sum over its members. A kernel of `m` vectors of length `n`, in one
  block, is stored in `t (32 k n + m log2 k)` bits for `t` stages (float32; the
  codes before entropy coding).

  Exact zeros do not stay zero.

  Args:
    k: codewords of a stage and block, `1 .. 65536`.
    stages: `>= 1`; the error does not grow with it, the size does.
    length: of a sub-vector as in `product_quantize`. Default: the whole axis,
      as in the paper; its codebooks soon outweigh the codes.
    axis: of the weight along which the vectors lie, negative from the end; 0
      makes them the inputs of one output of a dense kernel `[in, out]`.
    seed: of the start of k-means.
    iterations: of k-means at most, see `vector_kmeans`.

  Raises:
    ValueError: an argument out of range, or a weight without such an axis or
      with fewer than two axes.

  References:
    Gong et al., Compressing Deep Convolutional Networks using Vector
    Quantization, 2014, arXiv 1412.6115, section 3.2.3.
  """
  return vector_quantize(k, stages, length, axis, seed, iterations)

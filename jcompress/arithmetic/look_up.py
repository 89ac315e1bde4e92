"""Products with a weight that is stored as codes, by tables of products.

Everything is in float32, and loops over the blocks of all stages one by one, so
that nothing much larger than a table or the result is formed. Batches lie in
the last axis: a look-up then copies whole rows.

References:
  Wu et al., Quantized Convolutional Neural Networks for Mobile Devices, 2016,
  arXiv 1512.06473, section 3.1.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt

from jcompress.numerics import exact


def matmul_by_table(
  x: Float[Array, 'batch n_in'],
  centers: Float[Array, 'stages blocks k length'],
  codes: UInt[Array, 'stages n blocks'],
) -> Float[Array, 'batch n']:
  """Looks up the products of the inputs with the centers, for each output."""
  parts = _in_blocks(x.T, centers)

  def add(out, block):
    centers, codes, b = block
    table = exact.matmul(centers, parts[b])
    return out + table.at[codes].get(mode='clip'), None

  out = jnp.zeros((codes.shape[1], len(x)), jnp.float32)
  if len(parts):
    out = jax.lax.scan(add, out, _one_by_one(centers, codes))[0]
  return out.T


def matmul_by_sums(
  x: Float[Array, 'batch n_in'],
  centers: Float[Array, 'stages blocks k length'],
  codes: UInt[Array, 'stages n_in blocks'],
) -> Float[Array, 'batch padded']:
  """Adds the inputs that share a code, then multiplies by the centers."""
  stages, blocks, k, length = centers.shape
  rows = x.T.astype(jnp.float32)

  def product(block):
    centers, codes, _ = block
    sums = jnp.zeros((k, len(x)), jnp.float32).at[codes].add(rows)
    return exact.matmul(centers.T, sums)

  out = jax.lax.map(product, _one_by_one(centers, codes))
  return out.reshape(stages, blocks * length, len(x)).sum(0).T


def conv_by_table(
  x: Float[Array, 'n height width channels'],
  centers: Float[Array, 'stages blocks k length'],
  codes: UInt[Array, 'stages rows columns out blocks'],
  strides: tuple[int, int],
  groups: int,
) -> Float[Array, 'n out_height out_width out']:
  """Multiplies each position by the centers once, and looks up from there."""
  n, height, width, channels = x.shape
  k, (rows, columns, outputs) = centers.shape[2], codes.shape[1:4]
  sizes = [
    max(0, (size - window) // stride + 1)
    for size, window, stride in zip(
      (height, width), (rows, columns), strides, strict=True
    )
  ]
  out = jnp.zeros((outputs, n * math.prod(sizes)), jnp.float32)
  dy, dx = jnp.indices((rows, columns), jnp.int32).reshape(2, -1)
  group = jnp.arange(outputs, dtype=jnp.int32) // max(1, outputs // groups)
  vectors = x.reshape(n * height * width * groups, channels // groups)
  parts = _in_blocks(vectors.T, centers)
  spans = [(m - 1) * s + 1 for m, s in zip(sizes, strides, strict=True)]

  def add_block(out, block):
    centers, codes, b = block
    table = exact.matmul(centers, parts[b])
    table = table.reshape(k, n, height, width, groups)

    def add_offset(out, offset):
      dy, dx, codes = offset
      seen = jax.lax.dynamic_slice(
        table, (0, 0, dy, dx, 0), (k, n, *spans, groups)
      )[:, :, :: strides[0], :: strides[1]]
      seen = jnp.moveaxis(seen, -1, 1).reshape(k * groups, -1)
      return out + seen.at[codes * groups + group].get(mode='clip'), None

    offsets = dy, dx, codes.reshape(rows * columns, outputs)
    return jax.lax.scan(add_offset, out, offsets)[0], None

  if out.size and len(parts):
    out = jax.lax.scan(add_block, out, _one_by_one(centers, codes))[0]
  return jnp.moveaxis(out.reshape(outputs, n, *sizes), 0, -1)


def _one_by_one(centers, codes):
  """Centers, codes and number of the block, stage after stage."""
  stages, blocks, k, length = centers.shape
  codes = jnp.moveaxis(codes, -1, 1).astype(jnp.int32)
  return (
    centers.astype(jnp.float32).reshape(-1, k, length),
    codes.reshape(stages * blocks, *codes.shape[2:]),
    jnp.tile(jnp.arange(blocks, dtype=jnp.int32), stages),
  )


def _in_blocks(rows, centers):
  """Rows in blocks, with rows of zeros to fill the last one."""
  blocks, length = centers.shape[1], centers.shape[3]
  rows = rows.astype(jnp.float32)
  rows = jnp.pad(rows, ((0, blocks * length - len(rows)), (0, 0)))
  return rows.reshape(blocks, length, rows.shape[1])

"""Differing bits of packed rows and columns, as kernels of accelerators.

A block of the result stays in registers or in fast memory while the words go
by; nothing of the size of rows by columns by words is formed.
"""

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.experimental.pallas import triton
from jaxtyping import Array, Int32, UInt32


def differing_bits_gpu(
  x: UInt32[Array, 'm words'],
  w: UInt32[Array, 'words n'],
  *,
  block: tuple[int, int] = (32, 64),
  interpret: bool = False,
) -> Int32[Array, 'm n']:
  """How many bits of each row differ from those of each column, in Triton.

  Args:
    x: packed rows.
    w: packed columns.
    block: rows and columns of the result for one program; powers of two.
    interpret: runs the kernel step by step, on any platform.
  """
  words = x.shape[1]

  def kernel(x_ref, w_ref, out_ref):
    def add(k, total):
      return total + _differing(x_ref[:, k][:, None], w_ref[k, :][None])

    zero = jnp.zeros(block, jnp.int32)
    out_ref[...] = jax.lax.fori_loop(0, words, add, zero)

  x_padded, w_padded = _pad(x, (block[0], 1)), _pad(w, (1, block[1]))
  m, n = x_padded.shape[0], w_padded.shape[1]
  total = pl.pallas_call(
    kernel,
    out_shape=jax.ShapeDtypeStruct((m, n), jnp.int32),
    grid=(m // block[0], n // block[1]),
    in_specs=[
      pl.BlockSpec((block[0], words), lambda i, j: (i, 0)),
      pl.BlockSpec((words, block[1]), lambda i, j: (0, j)),
    ],
    out_specs=pl.BlockSpec(block, lambda i, j: (i, j)),
    compiler_params=None if interpret else triton.CompilerParams(),
    interpret=interpret,
  )(x_padded, w_padded)
  return total[: x.shape[0], : w.shape[1]]


def differing_bits_tpu(
  x: UInt32[Array, 'm words'],
  w: UInt32[Array, 'words n'],
  *,
  block: tuple[int, int, int] = (128, 256, 128),
  interpret: bool = False,
) -> Int32[Array, 'm n']:
  """How many bits of each row differ from those of each column, in Mosaic.

  Args:
    x: packed rows.
    w: packed columns.
    block: rows and columns of the result and words at a time; multiples of 8,
      128 and 128.
    interpret: runs the kernel step by step, on any platform.
  """
  rows, columns, depth = block

  def kernel(x_ref, w_ref, out_ref):
    @pl.when(pl.program_id(2) == 0)
    def start():
      out_ref[...] = jnp.zeros((rows, columns), jnp.int32)

    total = out_ref[...]
    # Unrolled, because lanes are sliced at fixed places only.
    for k in range(depth):
      total += _differing(x_ref[:, k : k + 1], w_ref[k : k + 1, :])
    out_ref[...] = total

  if x.shape[1] < depth:
    depth = x.shape[1]
  x_padded, w_padded = _pad(x, (rows, depth)), _pad(w, (depth, columns))
  (m, words), n = x_padded.shape, w_padded.shape[1]
  total = pl.pallas_call(
    kernel,
    out_shape=jax.ShapeDtypeStruct((m, n), jnp.int32),
    grid=(m // rows, n // columns, words // depth),
    in_specs=[
      pl.BlockSpec((rows, depth), lambda i, j, k: (i, k)),
      pl.BlockSpec((depth, columns), lambda i, j, k: (k, j)),
    ],
    out_specs=pl.BlockSpec((rows, columns), lambda i, j, k: (i, j)),
    compiler_params=pltpu.CompilerParams(
      dimension_semantics=('parallel', 'parallel', 'arbitrary')
    ),
    interpret=interpret,
  )(x_padded, w_padded)
  return total[: x.shape[0], : w.shape[1]]


def _differing(x, w):
  return jax.lax.population_count(x ^ w).astype(jnp.int32)


def _pad(x, multiples):
  """Fills up with zeros, which differ from nothing where both are padded."""
  sizes = [-n % m for n, m in zip(x.shape, multiples, strict=True)]
  return jnp.pad(x, [(0, n) for n in sizes])

"""Differing bits of packed rows and columns, as kernels of accelerators.

A block of the result stays in registers or in fast memory while the words go
by; nothing of the size of rows by columns by words is formed.
"""

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Int32, UInt32

# From jax 0.12 on the Triton backend of Pallas warns that it will leave.
HAS_TRITON = jax.__version_info__ < (0, 12)
_FEW_ROWS = 8  # too few for each thread of a GPU to have products of its own
_FEW = (32, 32)  # columns and words of a program, then
_MANY = (32, 64, 4)  # rows, columns and words, otherwise


def differing_bits_gpu(
  x: UInt32[Array, 'm words'],
  w: UInt32[Array, 'words n'],
  *,
  block: tuple[int, int, int] | None = None,
  interpret: bool = False,
) -> Int32[Array, 'm n']:
  """How many bits of each row differ from those of each column, in Triton.

  Args:
    x: packed rows.
    w: packed columns.
    block: rows and columns of the result for one program, and words at a time;
      powers of two. By default what suits so many rows.
    interpret: runs the kernel step by step, on any platform.
  """
  from jax.experimental.pallas import triton

  few = x.shape[0] <= _FEW_ROWS
  if block is None:
    block = (pl.next_power_of_2(x.shape[0]), *_FEW) if few else _MANY
  rows, columns, depth = block

  def summed(x_ref, w_ref, at):
    """Adds up across threads, of which there are more than products."""
    words = pl.ds(at, depth)
    apart = x_ref[:, words][:, :, None] ^ w_ref[words, :][None]
    return jnp.sum(_bits(apart), 1)

  def unrolled(x_ref, w_ref, at):
    total = jnp.zeros((rows, columns), jnp.int32)
    for k in range(depth):
      total += _bits(x_ref[:, at + k][:, None] ^ w_ref[at + k, :][None])
    return total

  count = summed if few else unrolled

  def kernel(x_ref, w_ref, out_ref):
    out_ref[...] = jax.lax.fori_loop(
      0,
      x_ref.shape[1] // depth,
      lambda i, total: total + count(x_ref, w_ref, i * depth),
      jnp.zeros((rows, columns), jnp.int32),
    )

  x_padded, w_padded = _pad(x, (rows, depth)), _pad(w, (depth, columns))
  (m, words), n = x_padded.shape, w_padded.shape[1]
  total = pl.pallas_call(
    kernel,
    out_shape=jax.ShapeDtypeStruct((m, n), jnp.int32),
    grid=(m // rows, n // columns),
    in_specs=[
      pl.BlockSpec((rows, words), lambda i, j: (i, 0)),
      pl.BlockSpec((words, columns), lambda i, j: (0, j)),
    ],
    out_specs=pl.BlockSpec((rows, columns), lambda i, j: (i, j)),
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
      apart = x_ref[:, k : k + 1] ^ w_ref[k : k + 1, :]
      total += jax.lax.population_count(apart).astype(jnp.int32)
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


def _bits(x):
  """The population count in arithmetic: Triton does not lower its own."""
  x -= (x >> 1) & 0x55555555
  x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
  x = (x + (x >> 4)) & 0x0F0F0F0F
  return ((x * 0x01010101) >> 24).astype(jnp.int32)


def _pad(x, multiples):
  """Fills up with zeros, which differ from nothing where both are padded."""
  sizes = [-n % m for n, m in zip(x.shape, multiples, strict=True)]
  return jnp.pad(x, [(0, n) for n in sizes])

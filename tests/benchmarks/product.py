"""Times product quantization of a large layer, and products with its codes.

Run as `python tests/benchmarks/product.py`. k-means against scikit-learn's on a
few of the blocks, in the same process; the look-up product against the dense
one, shortest of some runs each.
"""

import resource
import time

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans

import jcompress as jc

SIZE, K, LENGTH = 4096, 256, 4


def timed(function, repeats):
  """The result, and the shortest time of a few calls in seconds."""
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    result = jax.block_until_ready(function())
    seconds.append(time.perf_counter() - start)
  return result, min(seconds)


def peak_bytes():
  return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def quantization(w):
  comp = jc.product_quantize(K, length=LENGTH)
  jax.block_until_ready(comp.init(w[:8, :512]))  # loads what is loaded once
  before = peak_bytes()
  cpu = time.process_time()
  (centers, state), seconds = timed(lambda: comp.init(w), 1)
  cpu = time.process_time() - cpu
  extra = (peak_bytes() - before) / 2**20
  print(f'{SIZE} x {SIZE}, k = {K}, length = {LENGTH}')
  print(f'  product_quantize  {seconds:7.2f} s, {cpu:.2f} s of CPU time')
  print(f'  peak extra memory {extra:7.0f} MiB (the weight has 64)')
  return comp.encode(centers, state)


def against_sklearn(w, leaf, blocks=8):
  error = np.square(np.asarray(leaf.decode() - w))
  ours = [error[LENGTH * b : LENGTH * (b + 1)].sum() for b in range(blocks)]
  theirs, start = [], time.process_time()
  for b in range(blocks):
    x = np.asarray(w[LENGTH * b : LENGTH * (b + 1)].T)
    theirs.append(KMeans(K, n_init=1, random_state=0).fit(x).inertia_)
  seconds = (time.process_time() - start) * leaf.centers.shape[1] / blocks
  print(f'  scikit-learn      {seconds:7.2f} s of CPU time, by {blocks} blocks')
  ratio = sum(ours) / sum(theirs)
  print(f'  distortion over that of scikit-learn: {ratio:.4f}')


def products(leaf):
  dense = jax.jit(lambda x, w: x @ w)
  coded = jax.jit(lambda x, leaf: leaf.matmul(x))
  decode = jax.jit(lambda leaf: leaf.decode())
  weight, seconds = timed(lambda: decode(leaf), 5)
  print(f'  decode            {1e3 * seconds:7.1f} ms')
  for batch in (1, 64):
    x = jax.random.normal(jax.random.key(1), (batch, SIZE))
    want, dense_seconds = timed(lambda x=x: dense(x, weight), 10)
    got, seconds = timed(lambda x=x: coded(x, leaf), 10)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-2)
    counts = leaf.operations(batch)
    fewer = counts.dense / (counts.multiply_adds + counts.additions)
    print(
      f'  batch {batch:3}: dense {1e3 * dense_seconds:.1f} ms, by codes '
      f'{1e3 * seconds:.1f} ms, with {fewer:.1f} times fewer operations'
    )


def main():
  w = jax.random.normal(jax.random.key(0), (SIZE, SIZE), jnp.float32)
  leaf = quantization(w)
  against_sklearn(w, leaf)
  products(leaf)


if __name__ == '__main__':
  main()

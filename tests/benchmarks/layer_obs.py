"""How long `layer_obs` takes: on fc1 of LeNet-300-100, and on 4096x4096.

    python tests/benchmarks/layer_obs.py

Kernels and inputs at random, 90 % pruned; the error beside that of magnitude
pruning at the same sparsity. Half a minute on two CPU cores.
"""

import time

import jax
import numpy as np

import jcompress as jc

SPARSITY = 0.9
EXAMPLES = 10_000  # of the inputs behind a Hessian


def main():
  print(f'{"layer":12s} method   seconds  error  of magnitude')
  for inputs, outputs, method in (
    (784, 300, 'exact'),
    (784, 300, 'blocked'),
    (4096, 4096, 'blocked'),
  ):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(inputs, outputs)).astype(np.float32)
    hessian = hessian_of(rng, inputs)
    start = time.perf_counter()
    pruned, _, report = jc.layer_obs(
      w, hessian, sparsity=SPARSITY, method=method
    )
    jax.block_until_ready(pruned)
    seconds = time.perf_counter() - start
    print(
      f'{inputs}x{outputs:<6d} {method:8s} {seconds:7.1f} '
      f'{report.error:6.3f} {by_magnitude(w, hessian):13.3f}'
    )


def hessian_of(rng, inputs):
  """Of inputs that are correlated, as pixels are."""
  x = rng.normal(size=(EXAMPLES, inputs)).astype(np.float32)
  x = np.cumsum(x, axis=1) / np.sqrt(np.arange(1, inputs + 1))
  return x.T @ x / EXAMPLES


def by_magnitude(w, hessian):
  cut = np.quantile(np.abs(w), SPARSITY)
  change = np.where(np.abs(w) < cut, w, 0)
  energy = lambda v: float(np.vdot(v, hessian @ v))
  return energy(change) / energy(w)


if __name__ == '__main__':
  main()

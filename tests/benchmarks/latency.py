"""How many times as fast as a first network others are, all read from files.

    python tests/benchmarks/latency.py runs/dense/model.jcz runs/l1/model.jcz

The files are those of runs of `configs/structure.py`, the dense one first. A
forward pass on 8 test images takes turns with one of the first network; printed
is the median of the ratios of their times, on this machine.
"""

import pathlib
import statistics
import sys
import time

import jax

from jcompress.experiments import files, sources

BATCH = 8
REPEATS = 100


def main():
  """Measures each file against the first."""
  dense, *others = map(pathlib.Path, sys.argv[1:])
  first = forward(dense)
  print(f'times as fast as {dense}, at batch {BATCH}')
  for path in others:
    print(f'{ratio(first, forward(path)):6.2f}x  {path}')
    sys.stdout.flush()


def forward(path):
  """A compiled forward pass of the network of a file."""
  task, variables = files.load(path)
  variables = jax.device_put(variables)
  batch = jax.device_put(sources.first(task.test, BATCH))
  run = jax.jit(task.predict).lower(variables, batch).compile()
  return lambda: jax.block_until_ready(run(variables, batch))


def ratio(first, other):
  """The median of pairs, in which each goes first by turns."""
  ratios = []
  for i in range(REPEATS + 2):
    seconds = {}
    for run in (first, other) if i % 2 else (other, first):
      start = time.perf_counter()
      run()
      seconds[run] = time.perf_counter() - start
    ratios.append(seconds[first] / seconds[other])
  return statistics.median(ratios[2:])  # the first two warm up


if __name__ == '__main__':
  main()

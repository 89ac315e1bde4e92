"""How many times as fast as a first network others are, all read from files.

    python tests/benchmarks/latency.py runs/dense/model.jcz runs/l1/model.jcz \
        [--batch=1 --batch=128]

The files are those of runs of `configs/structure.py` or `configs/low_rank.py`,
the dense one first. A forward pass on 8 test images, or as many as is said,
takes turns with one of the first network; printed is the median of the ratios
of their times, on this machine.
"""

import argparse
import pathlib
import statistics
import time

import jax

from jcompress.experiments import files, sources

REPEATS = 100


def main():
  """Measures each file against the first."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('dense', type=pathlib.Path)
  parser.add_argument('others', type=pathlib.Path, nargs='+')
  parser.add_argument('--batch', type=int, action='append')
  arguments = parser.parse_args()
  sizes = arguments.batch or [8]
  print(f'times as fast as {arguments.dense}, at batch {sizes}')
  first = {size: forward(arguments.dense, size) for size in sizes}
  for path in arguments.others:
    found = [ratio(first[size], forward(path, size)) for size in sizes]
    print(*(f'{x:6.2f}x' for x in found), path, flush=True)


def forward(path, size):
  """A compiled forward pass of the network of a file."""
  task, variables = files.load(path)
  variables = jax.device_put(variables)
  batch = jax.device_put(sources.first(task.test, size))
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

r"""Damaged files by the hundred thousand, their checksums made right.

    python tests/benchmarks/fuzz.py [--minutes=5] [--seed=0]

Files of every kind of leaf and coder are changed at random places: bits, bytes,
spliced and lost parts of records, numbers of the header. Each must give a tree
or a `ValueError`, within a second and within the memory that the process may
have. Prints how many inputs of each kind were read, and how many refused.
"""

import argparse
import collections
import json
import pathlib
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / 'code')]
from old_files_test import tree  # noqa: E402
from signed_files import parts_of, signed  # noqa: E402

from jcompress.code import archive, container  # noqa: E402

CODERS = 'auto', 'raw', 'huffman', 'zstd', 'ans', 'context', 'fast'
MEMORY = 6 << 30


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--minutes', type=float, default=5.0)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--output', default='')
  arguments = parser.parse_args()
  jax.block_until_ready(jnp.ones(3) + 1)
  resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
  rng = np.random.default_rng(arguments.seed)
  files = [
    (f'{name} {coder}', parts_of(container.pack({'a': leaf}, coder=coder)))
    for name, leaf in tree().items()
    if name != 'list'
    for coder in CODERS
  ]
  counts: dict[str, collections.Counter[str]] = collections.defaultdict(
    collections.Counter
  )
  end, slow, shown = time.time() + 60 * arguments.minutes, [], time.time()
  while time.time() < end:
    name, (head, body) = files[rng.integers(len(files))]
    data = mutant(head, body, rng)
    start = time.perf_counter()
    try:
      archive.unpack(data)
      found = 'read'
    except ValueError:
      found = 'refused'
    except Exception as error:  # what this is here to find
      found = type(error).__name__
      pathlib.Path(f'fuzz_{found}.jcz').write_bytes(data)
      print(f'{name}: {found}: {str(error)[:200]}', flush=True)
    seconds = time.perf_counter() - start
    if seconds > 1:
      slow.append((name, round(seconds, 2)))
    counts[name.split()[0]][found] += 1
    if time.time() - shown > 30:
      shown = time.time()
      report(counts, slow, arguments.output)
  report(counts, slow, arguments.output)


def mutant(head, body, rng):
  """A damaged file whose checksums are right."""
  head = [head[0], head[1], [list(leaf) for leaf in head[2]], *head[3:]]
  body = bytearray(body)
  for _ in range(rng.integers(1, 4)):
    kind = rng.integers(5)
    at = int(rng.integers(len(body))) if body else 0
    if kind == 0 and body:
      body[at] ^= 1 << int(rng.integers(8))
    elif kind == 1 and body:
      body[at] = int(rng.integers(256))
    elif kind == 2:
      stop = min(len(body), at + int(rng.integers(20)))
      body[at:stop] = rng.bytes(int(rng.integers(12)))
    elif kind == 3:
      del body[at:]
    else:
      leaf = head[2][0]
      place = int(rng.integers(3, len(leaf)))
      leaf[place] = int(rng.choice([0, 1, 7, 40, 2**20, 2**31, 2**40]))
  head[2][0][1] = len(body)
  return signed(head, bytes(body))


def report(counts, slow, output):
  total = sum(sum(c.values()) for c in counts.values())
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
  found = {
    'inputs': total,
    'peak_mb': peak,
    'over_a_second': slow[-20:],
    'kinds': {name: dict(c) for name, c in sorted(counts.items())},
  }
  print(json.dumps(found), flush=True)
  if output:
    pathlib.Path(output).write_text(json.dumps(found, indent=2) + '\n')


if __name__ == '__main__':
  main()

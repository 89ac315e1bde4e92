r"""Time and memory of loading MiniLM: from its file here, from safetensors.

    python tests/benchmarks/loading.py [--bits=4]

Each in a process of its own, which ends with all arrays as JAX arrays: the
seconds after the imports, and the most memory beyond what they took.
"""

import argparse
import subprocess
import sys
import tempfile

from jcompress.experiments import minilm

CHILD = """
import resource, sys, time
import jax, jax.numpy as jnp, numpy as np
import jcompress as jc
from jcompress.experiments import checkpoints
what, path = sys.argv[1:]
jax.block_until_ready(jnp.ones(3) + 1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = peak(), time.perf_counter()
if what == 'safetensors':
  params = checkpoints.read(path).params
  params = jax.tree.map(jnp.asarray, params)
else:
  tree = jc.load(path).tree
  params = tree if what == 'encoded' else jc.decode(tree)
jax.block_until_ready(params)
seconds = time.perf_counter() - start
print(f'{what}: {seconds:.2f} s, {peak() - before:.0f} MB')
"""


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--bits', type=int, default=4)
  bits = parser.parse_args().bits
  source = minilm.file('model.safetensors')
  with tempfile.TemporaryDirectory() as folder:
    path = f'{folder}/minilm.jcz'
    words = ['compress', str(source), f'--bits={bits}', f'--output={path}']
    subprocess.run([sys.executable, '-m', 'jcompress.main', *words], check=True)
    for what, file in (
      ('safetensors', source),
      ('encoded', path),
      ('decoded', path),
      ('decoded', path),
    ):
      subprocess.run([sys.executable, '-c', CHILD, what, str(file)], check=True)


if __name__ == '__main__':
  main()

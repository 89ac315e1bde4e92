"""Memory and time of a network that runs from its codes, against the dense one.

    python tests/benchmarks/packed.py [--sizes 1024 4096] [--repeats 20]

A chain of 12 square kernels at batch 1. Memory is what the compiled program
asks for; the programs take turns, so that a machine that slows down slows all
of them; medians. Takes a minute and a half, and 3 GB.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

import jcompress as jc

LAYERS = 12


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--sizes', type=int, nargs='+', default=[1024, 4096])
  parser.add_argument('--repeats', type=int, default=20)
  arguments = parser.parse_args()
  print(f'{jax.devices()[0].platform}, jax {jax.__version__}')
  for size in arguments.sizes:
    for name, leaf in LEAVES.items():
      compare(f'{name}, {LAYERS} x {size} x {size}', leaf, size, arguments)


def codebook(rng, size):
  codes = rng.integers(0, 16, (size, size), np.uint8)
  centers = rng.standard_normal(16).astype(np.float32) / size**0.5
  return jc.encoded.Codebook(jnp.asarray(centers), jnp.asarray(codes))


def quantized(bits, tile=None):
  def leaf(rng, size):
    top = 2 ** (bits - 1)
    codes = rng.integers(-top, top, (size, size)).astype(np.int8)
    rows = size // tile if tile else 1
    scale = rng.random((rows, size)).astype(np.float32) / size**0.5 / top
    tiles = (0, tile) if tile else None
    return jc.encoded.Quantized(
      jnp.asarray(codes), jnp.asarray(scale), tile=tiles
    )

  return leaf


LEAVES = {
  'codebook of 4 bits': codebook,
  'integers of 4 bits': quantized(4),
  'integers of 4 bits in groups of 128': quantized(4, 128),
  'integers of 8 bits': quantized(8),
}


def apply(params, x):
  for kernel in params:
    x = jnp.tanh(x @ kernel)
  return x


def compare(title, leaf, size, arguments):
  rng = np.random.default_rng(0)
  tree = [jc.encoded.packed(leaf(rng, size)) for _ in range(LAYERS)]
  x = jnp.ones((1, size))
  programs = {
    'dense': (apply, jc.decode(tree)),
    'decoded inside': (lambda t, x: apply(jc.decode(t), x), tree),
    'run_packed': (jc.run_packed(apply), tree),
  }
  compiled = {
    name: (jax.jit(f).lower(params, x).compile(), params)
    for name, (f, params) in programs.items()
  }
  outputs, times = measured(compiled, x, arguments.repeats)
  print(f'\n{title}')
  for name, (program, _) in compiled.items():
    memory = program.memory_analysis()
    ratio = statistics.median(
      a / b for a, b in zip(times[name], times['dense'], strict=True)
    )
    print(
      f'  {name:15s} arguments {memory.argument_size_in_bytes / 1e6:7.1f} MB,'
      f' temporaries {memory.temp_size_in_bytes / 1e6:7.1f} MB,'
      f' {1e3 * statistics.median(times[name]):7.2f} ms, {ratio:5.2f} of dense,'
      f' same bits: {bool((outputs[name] == outputs["dense"]).all())}'
    )


def measured(compiled, x, repeats):
  """What each program gives, and its seconds in turns."""
  outputs, times = {}, {name: [] for name in compiled}
  for turn in range(repeats + 2):
    names = list(compiled) if turn % 2 else list(compiled)[::-1]
    for name in names:
      program, params = compiled[name]
      start = time.perf_counter()
      outputs[name] = jax.block_until_ready(program(params, x))
      times[name].append(time.perf_counter() - start)
  return outputs, {name: found[2:] for name, found in times.items()}


if __name__ == '__main__':
  main()

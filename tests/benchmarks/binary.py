"""Times products of packed signs against float32 products of the same shape.

Run as `python tests/benchmarks/binary.py`. Weights are packed beforehand, the
inputs in the measured call. Shortest of some runs each, in one process: one
after the other, where the packed weights may stay in a cache, and in turns,
where the floats drive them out.

Then whole networks of random weights against the same model in float32. The
packed network takes bytes, also in its first layer.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress.arithmetic.binary_dot import binary_dot
from jcompress.arithmetic.packing import pack_signs
from jcompress.arithmetic.xnor_ops import binary_conv
from jcompress.models import (
  BinarizedMLP,
  BinarizedVGG,
  jit_packed,
  pack_network,
)


def timed(functions, repeats):
  """The shortest time of each function in seconds, called in turns."""
  seconds = [[] for _ in functions]
  for _ in range(repeats):
    for function, times in zip(functions, seconds, strict=True):
      start = time.perf_counter()
      jax.block_until_ready(function())
      times.append(time.perf_counter() - start)
  return [min(times) for times in seconds]


def signs(x):
  return jnp.where(x >= 0, 1.0, -1.0)


def float_conv(x, w):
  return jax.lax.conv_general_dilated(
    x, w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def row(name, multiply_adds, dense, packed, x, w, words, repeats):
  dense, packed = jax.jit(dense), jax.jit(packed)
  np.testing.assert_array_equal(packed(x, words), dense(signs(x), signs(w)))
  times = compare(lambda: dense(x, w), lambda: packed(x, words), repeats)
  print(
    f'{name:34}{multiply_adds / 1e6:6.0f}{multiply_adds / 32e6:7.1f}{times}'
  )


def compare(dense, packed, repeats):
  timed([dense, packed], 1)  # compiles
  (plain,), (fast,) = (timed([call], repeats) for call in (dense, packed))
  plain_turn, fast_turn = timed([dense, packed], repeats)
  return (
    f'{1e3 * plain:12.3f}{1e3 * fast:11.3f}{plain / fast:7.1f}'
    f'{plain_turn / fast_turn:9.1f}'
  )


def network_rows(name, model, images, repeats):
  """Rows of a network for some batches, given as pairs of sizes and repeats."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(model.init, jax.random.key(0), images)
  draw = lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32)
  compressor = jc.select(model.binary_kernels, jc.binary_connect())
  encoded = compressor.encode(
    *compressor.init(jax.tree.map(draw, shapes['params']))
  )
  stats = jax.tree.map(lambda x: jnp.abs(draw(x)) + 0.1, shapes['batch_stats'])
  network = pack_network(model, encoded, stats, pixels='symmetric')
  variables = {'params': jc.decode(encoded), 'batch_stats': stats}
  sizes = [
    sum(x.nbytes for x in jax.tree.leaves(tree)) / 1e6
    for tree in (variables, network)
  ]
  dense, packed = jax.jit(model.apply), jit_packed()
  for batch, times in repeats:
    x = jnp.asarray(rng.integers(0, 256, (batch, *images.shape[1:]), np.uint8))
    floats = x / jnp.float32(127.5) - 1
    want, got = dense(variables, floats), packed(network, x)
    off = float(jnp.max(jnp.abs(want - got)) / jnp.max(jnp.abs(want)))
    row = compare(
      lambda floats=floats: dense(variables, floats),
      lambda x=x: packed(network, x),
      times,
    )
    print(
      f'{f"{name}, batch {batch}":34}{sizes[0]:6.1f}{sizes[1]:7.2f}{row}'
      f'{off:10.0e}'
    )


def main():
  print(f'{"":34}  10^6 operations     milliseconds      float32 / packed')
  print(
    f'{"shape":34}{"floats":>6}{"words":>7}{"float32":>12}{"packed":>11}'
    f'{"alone":>7}{"in turns":>9}'
  )
  size = 4096
  w = jax.random.normal(jax.random.key(0), (size, size))
  words = jax.jit(lambda w: pack_signs(w, 0))(w)
  for batch, repeats in ((1, 100), (128, 10)):
    x = jax.random.normal(jax.random.key(1), (batch, size))
    row(
      f'dense {batch} x {size} x {size}',
      batch * size * size,
      lambda x, w: x @ w,
      lambda x, words: binary_dot(pack_signs(x), words, size),
      x,
      w,
      words,
      repeats,
    )
  x = jax.random.normal(jax.random.key(1), (8, 28, 28, 256))
  w = jax.random.normal(jax.random.key(2), (3, 3, 256, 256))
  row(
    'conv 3 x 3, 256 to 256, 8 x 28^2',
    8 * 28 * 28 * 9 * 256 * 256,
    float_conv,
    lambda x, words: binary_conv(x, words, padding='SAME'),
    x,
    w,
    pack_signs(w, 2),
    8,
  )
  print(
    f'{"network":34}{"megabytes":>13}{"float32":>12}{"packed":>11}{"alone":>7}'
    f'{"in turns":>9}{"apart":>10}'
  )
  network_rows(
    'MLP 784-2048-2048-2048-10',
    BinarizedMLP(),
    jnp.zeros((1, 28, 28, 1)),
    ((1, 200), (128, 50)),
  )
  network_rows(
    'VGG 128-256-512, CIFAR-10',
    BinarizedVGG(),
    jnp.zeros((1, 32, 32, 3)),
    ((1, 20), (8, 6)),
  )


if __name__ == '__main__':
  main()

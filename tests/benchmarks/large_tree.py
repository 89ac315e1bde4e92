r"""Memory of a large tree: compressed, written and read leaf by leaf.

    python tests/benchmarks/large_tree.py [--gigabytes=2] [--devices=8]

A tree of random bfloat16 kernels of 2048 x 2048 is written by `jc.create`, each
kernel pruned or quantized as it comes, and read again by `jc.open`. Printed is
the most memory of the process beyond what it had with the first kernels, as a
multiple of the bytes of the whole tree.
"""

import argparse
import os
import pathlib
import resource
import tempfile
import time


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--gigabytes', type=float, default=2.0)
  parser.add_argument('--devices', type=int, default=8)
  parser.add_argument('--method', default='magnitude')
  arguments = parser.parse_args()
  os.environ['XLA_FLAGS'] = (
    f'--xla_force_host_platform_device_count={arguments.devices}'
  )
  import jax
  import jax.numpy as jnp
  from jax.sharding import AxisType, NamedSharding, PartitionSpec

  import jcompress as jc

  compressor = {
    'magnitude': jc.magnitude_prune(0.9),
    'linear': jc.linear_quantize(4, axis=-1),
    'kmeans': jc.kmeans_share(4),
  }[arguments.method]
  mesh = jax.make_mesh(
    (arguments.devices,), ('shard',), axis_types=(AxisType.Auto,)
  )
  place = NamedSharding(mesh, PartitionSpec('shard'))
  shape = 2048, 2048
  count = max(1, round(arguments.gigabytes * 1e9 / (2 * 2048 * 2048)))
  total = count * 2 * 2048 * 2048

  @jax.jit
  def draw(i):
    key = jax.random.fold_in(jax.random.key(0), i)
    return jax.lax.with_sharding_constraint(
      jax.random.normal(key, shape, jnp.bfloat16), place
    )

  encode = jax.jit(lambda w: compressor.encode(*compressor.init(w)))
  peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'large.jcz'
    start, before = time.time(), None
    with jc.create(path) as file:
      for i in range(count):
        file.put(f'layer{i}/kernel', encode(draw(i)))
        before = before or peak()
    written, size = time.time(), path.stat().st_size
    report(f'write, {arguments.method}', peak() - before, total)
    with jc.open(path) as file:
      for name, leaf in file.items():
        i = int(name.removeprefix('layer').removesuffix('/kernel'))
        if i % 40 == 0:
          w = jc.decode({'w': leaf})['w']
          assert (w == jc.decode({'w': encode(draw(i))})['w']).all()
    report('read', peak() - before, total)
  rate = total / 1e6
  print(
    f'{count} kernels, {total / 1e9:.2f} GB, file {size / 1e6:.1f} MB, '
    f'written at {rate / (written - start):.0f} MB/s'
  )


def report(what, beyond, total):
  print(
    f'{what}: {beyond / 1e6:.0f} MB beyond, {beyond / total:.3f}x', flush=True
  )


if __name__ == '__main__':
  main()

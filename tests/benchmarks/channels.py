"""What removing channels gives: published sizes, planning time, latency.

    python tests/benchmarks/channels.py [--repeats 30]

Prints the table of Li et al. (2017) from plans without weights, how long
`channel_groups` takes, and how much faster VGG-16 is without half of the
channels of every group. The networks take turns, so that a machine that slows
down slows all of them; medians. Takes half a minute.
"""

import argparse
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress.models import VGG16, ResNet, ViT
from jcompress.models.bert import Bert

sys.path[0] = str(pathlib.Path(__file__).parents[1] / 'channels')

import li_2017  # noqa: E402

BATCH = 8


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--repeats', type=int, default=30)
  arguments = parser.parse_args()
  print(f'{jax.devices()[0].platform}, jax {jax.__version__}')
  sizes()
  planning()
  latency(arguments.repeats)


def sizes():
  print(f'\n{"Li et al. 2017":20s} {"weights":>11s} {"less":>7s}', end='')
  print(f' {"paper":>7s} {"MACs":>12s} {"less":>7s} {"paper":>7s}')
  for name, row in li_2017.TABLE.items():
    model, dense = row.model, li_2017.TABLE[name.partition('-pruned')[0]]
    if row.kept:
      plan = li_2017.plan(li_2017.graph_of(model), row.kept)
      model = model.clone(widths=jc.channel_widths(plan))
    variables = li_2017.variables(model)
    macs = jc.flops(model.apply, variables, li_2017.IMAGE).macs
    weights = li_2017.weights(variables, row.biases)
    less = [100 - 100 * weights / dense.weights, 100 - 100 * macs / dense.macs]
    cells = [
      f'{a:6.2f}% {b:6.1f}%' for a, b in zip(less, row.removed, strict=True)
    ]
    print(f'{name:20s} {weights:11,} {cells[0]} {macs:12,} {cells[1]}')


def planning():
  print('\nchannel_groups')
  tokens = jax.ShapeDtypeStruct((1, 16), jnp.int32)
  for name, model, x in (
    ('ResNet-110', ResNet(110), li_2017.IMAGE),
    ('ViT, 12 layers, 768 wide', _base(), li_2017.IMAGE),
    ('BERT-base', Bert(), tokens),
  ):
    forms = jax.eval_shape(model.init, jax.random.key(0), x)
    start = time.perf_counter()
    graph = jc.channel_groups(model.apply, forms, x)
    seconds = time.perf_counter() - start
    print(f'{name:26s} {len(graph.groups):3d} groups {seconds:6.2f} s')

  for name, case in (
    ('A million flattened', _flattened()),
    ('Decoder, 48 x 4096', _decoder()),
  ):
    start = time.process_time()
    graph = jc.channel_groups(*case)
    seconds = time.process_time() - start
    print(f'{name:26s} {len(graph.groups):3d} groups {seconds:6.2f} s of CPU')


def _shape(*shape, dtype=jnp.float32):
  return jax.ShapeDtypeStruct(shape, dtype)


def _flattened():
  """A convolution whose outputs are flattened to 2^20 in front of a layer."""

  def apply(p, x):
    y = jax.lax.conv_general_dilated(
      x, p['k'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    return jax.nn.relu(y).reshape(len(x), -1) @ p['w']

  params = {'k': _shape(3, 3, 3, 16), 'w': _shape(1 << 20, 10)}
  return apply, params, _shape(1, 256, 256, 3)


def _decoder(layers=48, width=4096, heads=32, vocabulary=32000):
  """A gated decoder, without the mask of its attention."""
  hidden, dim = 4 * width, width // heads

  def norm(x, scale):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale

  def layer(p, x):
    split = lambda y: y.reshape(*y.shape[:-1], heads, dim)
    h = norm(x, p['n1'])
    q, k, v = (split(h @ p[name]) for name in 'qkv')
    weights = jax.nn.softmax(jnp.einsum('bqhd,bkhd->bhqk', q, k) / dim**0.5)
    mixed = jnp.einsum('bhqk,bkhd->bqhd', weights, v).reshape(x.shape)
    x += mixed @ p['o']
    h = norm(x, p['n2'])
    return x + (jax.nn.silu(h @ p['g']) * (h @ p['u'])) @ p['d']

  def apply(p, ids):
    x = p['embed'][ids]
    for each in p['layers']:
      x = layer(each, x)
    return x @ p['head']

  square, wide = _shape(width, width), _shape(width, hidden)
  each = dict.fromkeys('qkvo', square) | dict.fromkeys('gu', wide)
  each |= {'d': _shape(hidden, width)}
  each |= dict.fromkeys(('n1', 'n2'), _shape(width))
  params = {'embed': _shape(vocabulary, width), 'layers': [each] * layers}
  params |= {'head': _shape(width, vocabulary)}
  return apply, params, _shape(1, 16, dtype=jnp.int32)


def _base():
  return ViT(layers=12, heads=12, width=768, hidden=3072)


def latency(repeats):
  model, key = VGG16(), jax.random.key(0)
  x = jax.random.normal(key, (BATCH, 32, 32, 3))
  params = model.init(key, x)
  graph = jc.channel_groups(model.apply, params, x)
  keep = {name: range(g.size // 2) for name, g in graph.groups.items()}
  small, small_apply = jc.shrink(model.apply, params, keep, x)
  plan = graph.plan(keep)
  rebuilt = model.clone(widths=jc.channel_widths(plan))
  jc.verify_rebuilt(rebuilt.apply, small, plan, x)
  runs = {
    'dense': (jax.jit(model.apply), params),
    'rebuilt': (jax.jit(rebuilt.apply), small),
    'shrink': (jax.jit(small_apply), small),
  }
  seconds = {name: [] for name in runs}
  for i in range(repeats + 3):
    for name, (run, given) in runs.items():
      start = time.perf_counter()
      run(given, x).block_until_ready()
      if i >= 3:
        seconds[name].append(time.perf_counter() - start)
  print(f'\nVGG-16 without half of all channels, batch {BATCH}')
  dense = np.array(seconds['dense'])
  for name, (run, given) in runs.items():
    ratio = np.median(dense / seconds[name])
    cost = jc.flops(run, given, x)
    print(
      f'{name:12s} {1e3 * np.median(seconds[name]):7.2f} ms {ratio:5.2f}x, '
      f'{cost.macs:13,} MACs, {cost.params:10,} parameters'
    )


if __name__ == '__main__':
  main()

"""Trains Fashion-MNIST in 16 bits of fixed point, with both roundings.

    python tests/benchmarks/fixed_point.py --hidden 256 --epochs 3

Every number but the softmax is in <16 - FL, FL>: weights, biases, layer
outputs, errors, gradients and updates. Needs the four IDX files (Debian's
`dataset-fashion-mnist`, or `--data_dir`). The network of the paper is
`--hidden 1000`; it takes about ten times as long on a CPU.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import data
from jcompress.ops import fixed_point_op, fixed_point_round
from jcompress.train import error_rate

WORD = 16


def initial_params(key, sizes):
  pairs = list(zip(sizes, sizes[1:], strict=False))
  keys = jax.random.split(key, len(pairs))
  return [
    {
      'kernel': jax.random.normal(k, (n_in, n_out)) / np.sqrt(n_in),
      'bias': jnp.zeros(n_out),
    }
    for k, (n_in, n_out) in zip(keys, pairs, strict=True)
  ]


def make_apply(fraction_bits):
  """`(params, images, keys) -> logits`; in floats without fraction bits."""
  dense = lambda x, w, b: x @ w + b
  word = (
    None if fraction_bits is None else (WORD - fraction_bits, fraction_bits)
  )

  def apply(params, images, keys=None):
    x = images.reshape(len(images), -1)
    x = x if word is None else fixed_point_round(x, *word)
    for i, layer in enumerate(params):
      key = None if keys is None else keys[i]
      op = dense if word is None else fixed_point_op(dense, *word, key=key)
      x = op(x if i == 0 else jax.nn.relu(x), layer['kernel'], layer['bias'])
    return x

  return apply


def train(arguments, dataset, rounding, fraction_bits):
  """Test error of what is shipped, in per cent, and seconds."""
  apply = make_apply(fraction_bits)
  tx = optax.sgd(arguments.learning_rate)
  compressor = jc.identity()
  if fraction_bits is not None:
    word = WORD - fraction_bits, fraction_bits
    # Zero is where biases start, not where they stay.
    compressor = jc.fixed_point(*word, rounding=rounding, keep_zeros=False)
    tx = optax.chain(tx, jc.fixed_point_updates(*word, rounding=rounding))

  def loss(params, batch, key):
    keys = None
    if rounding == 'stochastic':
      keys = jax.random.split(key, len(params))
    logits = apply(params, batch['image'], keys)
    return optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['label']
    ).mean()

  sizes = [784] + 2 * [arguments.hidden] + [10]
  params = initial_params(jax.random.key(arguments.seed), sizes)
  ts = jc.init_train_state(compressor, tx, params, key=jax.random.key(1))
  step = jc.train_step(loss, compressor, tx)
  steps = arguments.epochs * (len(dataset.train_labels) // 100)
  start = time.perf_counter()
  for batch in data.batches(
    dataset.train_images,
    dataset.train_labels,
    100,
    seed=arguments.seed,
    steps=steps,
  ):
    ts, _ = step(ts, batch)
  jax.block_until_ready(ts)
  seconds = time.perf_counter() - start
  shipped = jc.decode(compressor.encode(ts.latent, ts.state))
  images = data.normalize(dataset.test_images)
  return error_rate(apply, shipped, images, dataset.test_labels), seconds


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--hidden', type=int, default=256)
  parser.add_argument('--epochs', type=int, default=3)
  parser.add_argument('--learning_rate', type=float, default=0.1)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--fraction_bits', type=int, nargs='*', default=[14, 10, 8]
  )
  parser.add_argument('--data_dir')
  arguments = parser.parse_args()
  dataset = data.load('fashion_mnist', data_dir=arguments.data_dir)
  print(f'{"rounding":12} {"format":>8} {"test error, %":>14} {"seconds":>8}')
  rows = [('float', None)]
  for rounding in ('stochastic', 'nearest'):
    rows += [(rounding, bits) for bits in arguments.fraction_bits]
  for rounding, bits in rows:
    error, seconds = train(arguments, dataset, rounding, bits)
    form = '' if bits is None else f'<{WORD - bits},{bits}>'
    print(f'{rounding:12} {form:>8} {error:14.2f} {seconds:8.0f}', flush=True)


if __name__ == '__main__':
  main()

"""A small network on scikit-learn's digits, trained through a compressor."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import data, tasks

HIDDEN = 64
BATCH = 128


class Outcome(NamedTuple):
  params: Any  # decoded from what is shipped
  density: float  # of the kernels
  error: float  # on the test images, in percent


def start(seed=0):
  keys = jax.random.split(jax.random.key(seed), 2)
  layer = lambda key, n, m: {
    'kernel': jax.random.normal(key, (n, m)) * (2 / n) ** 0.5,
    'bias': jnp.zeros(m),
  }
  return {'fc1': layer(keys[0], 64, HIDDEN), 'fc2': layer(keys[1], HIDDEN, 10)}


def apply(params, x):
  dense = lambda x, layer: x @ layer['kernel'] + layer['bias']
  return dense(jax.nn.relu(dense(x, params['fc1'])), params['fc2'])


@functools.cache
def digits():
  found = data.load('digits')
  flat = lambda x: np.asarray(tasks.pixels(x)).reshape(len(x), -1)
  return (
    flat(found.train_inputs),
    found.train_labels,
    flat(found.test_inputs),
    found.test_labels,
  )


def train(comp, params, steps, rate=3e-3):
  """Trains by Adam; gives what is shipped."""
  x, y, test_x, test_y = digits()
  comp, tx = jc.select(jc.KERNELS, comp), optax.adam(rate)
  order = np.random.default_rng(0).integers(0, len(x), (steps, BATCH))

  def loss(params, batch):
    logits = apply(params, batch[0])
    return optax.softmax_cross_entropy_with_integer_labels(
      logits, batch[1]
    ).mean()

  step = jc.train_step(loss, comp, tx)
  ts = jc.init_train_state(comp, tx, params)
  x, y = jnp.asarray(x), jnp.asarray(y)
  run = jax.jit(
    lambda ts: jax.lax.scan(lambda ts, i: step(ts, (x[i], y[i])), ts, order)
  )
  ts, _ = run(ts)
  params = jc.decode(comp.encode(ts.latent, ts.state))
  kernels = jax.tree.leaves(jc.tree.split(jc.KERNELS, params)[0])
  kept = sum(int(jnp.count_nonzero(k)) for k in kernels)
  error = 100 * np.mean(np.argmax(apply(params, test_x), 1) != test_y)
  return Outcome(params, kept / sum(k.size for k in kernels), float(error))

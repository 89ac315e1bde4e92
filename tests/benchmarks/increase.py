"""Predicted against measured loss: the figures of the papers of OBD and OBS.

    python tests/benchmarks/increase.py --figure runs/increase.png

Trains a network of 64-12-10 units on scikit-learn's digits to a minimum of its
loss with weight decay, removes weights by Optimal Brain Damage (exact diagonal
of the Hessian) and by Optimal Brain Surgeon (inverse of the whole Hessian), and
prints and draws what each predicted and what the loss did. A minute.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import data, plots
from jcompress.prune.obd import exact_diag

HIDDEN = 12
DECAY = 1e-3
SHARES = np.arange(0.0, 0.85, 0.05)  # of the weights


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--figure', type=pathlib.Path, required=True)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--steps', type=int, default=2000)
  arguments = parser.parse_args()
  digits = data.load('digits')
  x = jnp.asarray(data.normalize(digits.train_images).reshape(-1, 64))
  batch = x, jnp.asarray(digits.train_labels)
  params = trained(start(arguments.seed), batch, arguments.steps)
  flat, unravel = jax.flatten_util.ravel_pytree(params)
  hessian = jax.hessian(lambda w: loss_fn(unravel(w), batch))(flat)
  slope = jnp.linalg.norm(jax.grad(lambda w: loss_fn(unravel(w), batch))(flat))
  print(
    f'{flat.size} weights, loss {loss_fn(params, batch):.4f}, |g| {slope:.1e}'
  )
  counts = (SHARES * flat.size).round().astype(int)
  curves = {
    'OBD': jc.obd_increase(
      loss_fn, params, exact_diag(loss_fn, params, batch), counts, batch
    ),
    'OBS': jc.obs_increase(loss_fn, params, inverse_of(hessian), counts, batch),
  }
  for name, curve in curves.items():
    print(f'\n{name}: removed, predicted, measured')
    for row in zip(*curve, strict=True):
      print('{:5d} {:10.5f} {:10.5f}'.format(*row))
  arguments.figure.parent.mkdir(parents=True, exist_ok=True)
  plots.plot_increase(curves).savefig(arguments.figure)


def start(seed):
  keys = jax.random.split(jax.random.key(seed))
  draw = lambda key, shape: jax.random.normal(key, shape) / shape[0] ** 0.5
  return {
    'fc1': {'kernel': draw(keys[0], (64, HIDDEN)), 'bias': jnp.zeros(HIDDEN)},
    'fc2': {'kernel': draw(keys[1], (HIDDEN, 10)), 'bias': jnp.zeros(10)},
  }


def loss_fn(params, batch):
  x, labels = batch
  hidden = jnp.tanh(x @ params['fc1']['kernel'] + params['fc1']['bias'])
  logits = hidden @ params['fc2']['kernel'] + params['fc2']['bias']
  cross = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  decay = sum(jnp.vdot(w, w) for w in jax.tree.leaves(params))
  return cross.mean() + DECAY / 2 * decay


def trained(params, batch, steps):
  tx = optax.lbfgs()
  value = lambda p: loss_fn(p, batch)

  @jax.jit
  def step(params, state):
    loss, grads = optax.value_and_grad_from_state(value)(params, state=state)
    updates, state = tx.update(
      grads, state, params, value=loss, grad=grads, value_fn=value
    )
    return optax.apply_updates(params, updates), state

  state = tx.init(params)
  for _ in range(steps):
    params, state = step(params, state)
  return params


def inverse_of(hessian):
  """With eigenvalues from rounding, and of a saddle, raised to the decay."""
  values, vectors = np.linalg.eigh(np.asarray(hessian, np.float64))
  return (vectors / np.maximum(values, DECAY)) @ vectors.T


if __name__ == '__main__':
  main()

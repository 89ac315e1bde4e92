r"""What OBD and OBS foretell of the loss against what it does.

    jcompress train --config configs/increase.py --workdir runs/increase

Half a minute on two CPU cores. A network of 64-12-10 units is trained on
scikit-learn's digits to a minimum of its loss with weight decay, by L-BFGS on
the whole training set. Then a share of its 910 weights is removed by Optimal
Brain Damage (exact diagonal of the Hessian) and by Optimal Brain Surgeon
(inverse of the whole of it). The results of the stages `obd` and `obs` show the
increase of the loss, foretold and measured, by how many weights are removed;
the network stays as it was trained. Seed 0, at a loss of 0.143:

    removed     OBD foretells  measured    OBS foretells  measured
        182           0.00002   0.00002          0.00001   0.00001
        364           0.0035    0.0047           0.0010    0.0010
        501           0.024     0.029            0.0058    0.0055
        592           0.062     0.135            0.0148    0.0156
        728           0.200     0.906            0.0526    0.0838

LeCun et al. found OBD right up to about 30 % of the weights of a network for
digits of zip codes. `--config.shares='(0.1, 0.2)'` removes other shares, and
`plots.plot_increase` draws what `jc.obd_increase` and `jc.obs_increase` give.

References:
  LeCun, Denker & Solla, Optimal Brain Damage, NIPS 2, 1990, figure 1.
  Hassibi & Stork, Second Order Derivatives for Network Pruning: Optimal Brain
    Surgeon, NIPS 5, 1993.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import data, networks, recipe, sources, tasks
from jcompress.experiments.recipe import Change
from jcompress.prune.obd import exact_diag


def get_config():
  """The numbers."""
  return recipe.defaults(
    data='digits',
    batch_size=0,  # the whole set
    hidden=12,
    decay=1e-3,
    steps=2000,
    shares=(0.2, 0.4, 0.55, 0.65, 0.8),
  )


def get_task(config):
  """Classes of digits, by one hidden layer of tanh; plain functions."""
  dataset = data.of(config)
  flat = lambda batch: (
    tasks.pixels(batch['image']).reshape(len(batch['image']), -1),
  )
  size = dataset.train_inputs[0].size
  sizes = size, config.hidden, dataset.classes
  network = networks.plain(lambda key: init(key, sizes), apply, flat)
  batch_size = config.batch_size or len(dataset.train_labels)
  return tasks.image_classification(network, dataset, batch_size)


def get_stages(config, task):
  """Trained to a minimum; then each method's word against the loss."""
  batch = task.train.get(config.seed, 0, sources.WHOLE)
  loss_fn = lambda params, batch: loss(config, task, params, batch)

  def train(task, variables, key):
    params = minimum(config, loss_fn, variables, batch)
    return task, {'params': params}, {'minimum': float(loss_fn(params, batch))}

  def obd(task, variables, key):
    params = variables['params']
    diagonal = exact_diag(loss_fn, params, batch)
    counts = counts_of(config, params)
    curve = jc.obd_increase(loss_fn, params, diagonal, counts, batch)
    return task, variables, facts(curve)

  def obs(task, variables, key):
    params = variables['params']
    inverse = inverse_hessian(config, loss_fn, params, batch)
    counts = counts_of(config, params)
    curve = jc.obs_increase(loss_fn, params, inverse, counts, batch)
    return task, variables, facts(curve)

  return [Change('train', train), Change('obd', obd), Change('obs', obs)]


def init(key, sizes):
  inputs, hidden, classes = sizes
  keys = jax.random.split(key)
  draw = lambda key, shape: jax.random.normal(key, shape) / shape[0] ** 0.5
  layer = lambda key, shape: {
    'kernel': draw(key, shape),
    'bias': jnp.zeros(shape[1]),
  }
  return {
    'fc1': layer(keys[0], (inputs, hidden)),
    'fc2': layer(keys[1], (hidden, classes)),
  }


def apply(params, x):
  hidden = jnp.tanh(x @ params['fc1']['kernel'] + params['fc1']['bias'])
  return hidden @ params['fc2']['kernel'] + params['fc2']['bias']


def loss(config, task, params, batch):
  """Cross entropy and the square of all weights."""
  cross, _ = task.loss(task.predict({'params': params}, batch), batch)
  decay = sum(jnp.vdot(w, w) for w in jax.tree.leaves(params))
  return cross + config.decay / 2 * decay


def minimum(config, loss_fn, variables, batch):
  """Params after the steps of L-BFGS, of a share of them for a quick look."""
  tx, value = optax.lbfgs(), lambda params: loss_fn(params, batch)

  def step(_, found):
    params, state = found
    here, grads = optax.value_and_grad_from_state(value)(params, state=state)
    updates, state = tx.update(
      grads, state, params, value=here, grad=grads, value_fn=value
    )
    return optax.apply_updates(params, updates), state

  steps = max(1, round(config.share * config.steps))
  start = jax.tree.map(jnp.asarray, variables['params'])
  run = jax.jit(lambda found: jax.lax.fori_loop(0, steps, step, found))
  return run((start, tx.init(start)))[0]


def inverse_hessian(config, loss_fn, params, batch):
  """With eigenvalues from rounding, and of a saddle, raised to the decay."""
  flat, unravel = jax.flatten_util.ravel_pytree(params)
  hessian = jax.hessian(lambda w: loss_fn(unravel(w), batch))(flat)
  values, vectors = np.linalg.eigh(np.asarray(hessian, np.float64))
  return (vectors / np.maximum(values, config.decay)) @ vectors.T


def counts_of(config, params):
  size = sum(w.size for w in jax.tree.leaves(params))
  return [round(share * size) for share in config.shares]


def facts(curve):
  """Numbers for the results: `foretold_182`, `measured_182`."""
  rows = list(zip(*curve, strict=True))
  foretold = {f'foretold_{n}': float(p) for n, p, _ in rows}
  return foretold | {f'measured_{n}': float(m) for n, _, m in rows}

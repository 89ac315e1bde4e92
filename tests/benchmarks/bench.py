"""What the benchmarks on trained networks share: training, errors, rows."""

import argparse
import json
import pathlib
import runpy
import sys
import time

import jax
import numpy as np
import optax

import jcompress as jc
from jcompress import main as command
from jcompress import models, train
from jcompress.experiments import data, stages

CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'


def parser(**settings):
  """The arguments that every table has; `settings` are of the parser."""
  found = argparse.ArgumentParser(**settings)
  found.add_argument('--workdir', type=pathlib.Path, required=True)
  found.add_argument('--data', default='fashion_mnist')
  found.add_argument('--data_dir', default='')
  found.add_argument('--seed', type=int, default=0)
  found.add_argument('--only', default='', help='rows that contain this')
  return found


def cross_entropy(apply_fn):
  """The mean loss of a batch."""

  def loss(params, batch):
    return optax.softmax_cross_entropy_with_integer_labels(
      apply_fn(params, batch['image']), batch['label']
    ).mean()

  return loss


def joined(params, statistics):
  """The variables of a linen model with or without batch statistics."""
  return {'params': params} | (
    {'batch_stats': statistics} if statistics else {}
  )


def loss_of(model):
  """The mean cross entropy of a linen model and its new batch statistics."""

  def loss(params, batch, variables):
    given = joined(params, variables)
    options = {}
    if variables:
      options = {'train': True, 'mutable': ['batch_stats']}
    out = model.apply(given, batch['image'], **options)
    logits, new = out if variables else (out, {'batch_stats': variables})
    cross = optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['label']
    )
    return cross.mean(), {}, new['batch_stats']

  return loss


def recalibrated(model, variables, images):
  """Batch statistics of these images, 500 at a time."""
  batches = images.reshape(-1, 500, *images.shape[1:])
  run = lambda v, x: model.apply(v, x, train=True, mutable=['batch_stats'])[1]
  return jc.recalibrate(run, variables, list(batches))


class Rows:
  """A data set, and rows of results.

  Rows go to `results.jsonl` as they come; what is there is not computed again.
  """

  def __init__(self, arguments):
    self.arguments = arguments
    self.dataset = data.load(
      arguments.data, data_dir=arguments.data_dir or None
    )
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    self.results = arguments.workdir / 'results.jsonl'

  def images(self, count):
    """The first images of the training set."""
    return data.normalize(self.dataset.train_images[:count])

  def steps_of(self, epochs, size):
    """How many batches of that size the epochs have."""
    return round(epochs * (len(self.dataset.train_labels) // size))

  def test_error(self, apply_fn, variables):
    """On the test images, in percent."""
    images = data.normalize(self.dataset.test_images)
    return train.error_rate(
      apply_fn, variables, images, self.dataset.test_labels
    )

  def fit(self, loss, comp, tx, params, steps, size, seed, **start):
    """Trains as seen through a compressor; returns the train state."""
    step = jc.train_step(loss, comp, tx)
    ts = jc.init_train_state(comp, tx, params, **start)
    for batch in data.batches(
      self.dataset.train_images,
      self.dataset.train_labels,
      size,
      seed=seed,
      steps=steps,
    ):
      ts, _ = step(ts, batch)
    return ts

  def row(self, label, measure, show):
    """The row of that label, measured by `measure()` unless it is known."""
    if self.arguments.only not in label:
      return
    known = [
      r for r in stages.read_metrics(self.results) if r['label'] == label
    ]
    if known:
      found = known[-1]
    else:
      start = time.perf_counter()
      found = {'label': label, **measure()}
      found['seconds'] = round(time.perf_counter() - start)
      with self.results.open('a') as f:
        f.write(json.dumps(found) + '\n')
    print(show(found))
    sys.stdout.flush()


class Bench(Rows):
  """A network trained by the stages of a config, and rows of results."""

  def __init__(self, arguments, config, trained=('dense',)):
    super().__init__(arguments)
    path = str(CONFIGS / f'{config}.py')
    self.config = runpy.run_path(path)['get_config']()
    self.config.stages, self.config.seed = trained, arguments.seed
    self.config.data = arguments.data
    self.config.data_dir = arguments.data_dir
    done = stages.run(
      self.config, command.load_recipe(path), self.dataset, arguments.workdir
    )
    self.errors = {stage.name: stage.error for stage in done}
    last = done[-1]
    view = last.compressor.view(last.train_state.latent, last.train_state.state)
    self.params = jax.tree.map(np.asarray, view)
    self.model = models.build(self.config.model, self.dataset.classes)

  def apply(self, params, images):
    return self.model.apply({'params': params}, images)

  def steps(self, epochs):
    return self.steps_of(epochs, self.config.batch_size)

  def train(self, comp, tx, params, steps, *, loss=None):
    """Trains the network of the config; returns the train state."""
    loss = loss or cross_entropy(self.apply)
    size, seed = self.config.batch_size, self.config.seed
    return self.fit(loss, comp, tx, params, steps, size, seed)

  def error(self, params, apply_fn=None):
    """On the test images, in percent."""
    return self.test_error(apply_fn or self.apply, params)

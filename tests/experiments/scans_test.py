import json

import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.experiments import data, networks, plots, scans, tasks
from jcompress.experiments.evaluation import evaluate


def task(examples=530):
  """Images of two pixels, whose label is which one is brighter."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (examples, 1, 2, 1), np.uint8)
  labels = images.reshape(-1, 2).argmax(1).astype(np.int32)
  network = networks.plain(
    lambda key: PARAMS,
    apply_fn,
    lambda batch: (tasks.pixels(batch['image']),),
  )
  pairs = data.Dataset('pairs', images, labels, images, labels)
  return tasks.image_classification(network, pairs, min(53, examples))


def apply_fn(params, images):
  rows = images.reshape(len(images), -1)
  return rows @ params['fc1']['kernel'] @ params['fc2']['kernel']


PARAMS = {
  'fc1': {'kernel': jnp.array([[1.0, 0.5], [-0.5, 2.0]])},
  'fc2': {'kernel': 3 * jnp.eye(2)},
}


VARIABLES = {'params': PARAMS}


def test_loss_and_error_are_those_of_all_training_examples():
  pairs = task()
  scan = scans.scan_task(pairs, VARIABLES, [0.5])
  pruned = PARAMS | {'fc1': {'kernel': jnp.diag(jnp.array([1.0, 2]))}}
  want = evaluate(pairs, {'params': pruned}, pairs.train)
  row = scan.rows[0]
  np.testing.assert_allclose(row.loss, want['loss'], rtol=1e-5)
  np.testing.assert_allclose(row.metrics['error'], want['error'], rtol=1e-5)
  assert want['error'] > 0


def test_fewer_examples_are_whole_batches():
  few = scans.scan_task(task(), VARIABLES, [0.5], examples=110)
  want = evaluate(task(), VARIABLES, task().train, steps=2)
  np.testing.assert_allclose(few.dense[0].loss, want['loss'], rtol=1e-6)
  with pytest.raises(ValueError, match='examples is 0'):
    scans.scan_task(task(), VARIABLES, [0.5], examples=0)


def test_a_task_without_a_loss_is_refused():
  metrics = lambda outputs, batch: {'error': (outputs.sum(), 1)}
  with pytest.raises(ValueError, match='measures error; a scan needs its loss'):
    scans.scan_task(task()._replace(metrics=metrics), VARIABLES, [0.5])


def test_files_hold_the_scan_and_what_each_layer_is_due(tmp_path, capsys):
  scan = scans.scan_task(task(7), VARIABLES, [0.5, 0.75])
  scans.write_scan(scan, tmp_path / 'new', 0.5)
  found = json.loads((tmp_path / 'new' / 'sensitivity.json').read_text())
  assert found['rows'] == scan.to_dict()['rows']
  # Half of the second layer is zero to begin with.
  assert found['sparsity'] == 0.5 and set(found['allocation']) == {
    'fc1/kernel',
    'fc2/kernel',
  }
  assert sum(4 * s for s in found['allocation'].values()) == 4
  out = capsys.readouterr().out
  assert 'fc2/kernel: prune' in out and 'error' in out
  with pytest.raises(ValueError, match='goes up to'):
    scans.write_scan(scan, tmp_path, 0.9)


def test_without_a_figure_the_rest_is_written(tmp_path, capsys, monkeypatch):
  scan = scans.scan_task(task(7), VARIABLES, [0.5])

  def no_figure(scan):
    raise ValueError('no matplotlib')

  monkeypatch.setattr(plots, 'plot_sensitivity', no_figure)
  scans.write_scan(scan, tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ['sensitivity.json']
  assert 'No figure: no matplotlib' in capsys.readouterr().out

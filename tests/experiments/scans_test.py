import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jcompress.experiments import data, plots, scans


def dataset(examples=530):
  """Images of two pixels, whose label is which one is brighter."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (examples, 1, 2, 1), np.uint8)
  labels = images.reshape(-1, 2).argmax(1).astype(np.int32)
  return data.Dataset(images, labels, images[:0], labels[:0])


def apply_fn(params, images):
  rows = images.reshape(len(images), -1)
  return rows @ params['fc1']['kernel'] @ params['fc2']['kernel']


PARAMS = {
  'fc1': {'kernel': jnp.array([[1.0, 0.5], [-0.5, 2.0]])},
  'fc2': {'kernel': 3 * jnp.eye(2)},
}


def test_loss_and_error_are_those_of_all_training_images():
  pairs = dataset()
  scan = scans.scan_model(apply_fn, PARAMS, pairs, [0.5])
  # More than one batch, and one that is not full.
  pruned = PARAMS | {'fc1': {'kernel': jnp.diag(jnp.array([1.0, 2]))}}

  @jax.jit
  def expected(params, images, labels):
    logits = apply_fn(params, images)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return loss.mean(), 100 * (logits.argmax(-1) != labels).mean()

  images = data.normalize(pairs.train_images)
  loss, error = expected(pruned, images, pairs.train_labels)
  row = scan.rows[0]
  np.testing.assert_allclose(row.loss, loss, rtol=1e-5)
  np.testing.assert_allclose(row.metrics['error'], error, rtol=1e-5)
  assert error > 0


def test_fewer_examples_are_the_first_ones():
  few = scans.scan_model(apply_fn, PARAMS, dataset(), [0.5], examples=7)
  same = scans.scan_model(apply_fn, PARAMS, dataset(7), [0.5])
  np.testing.assert_allclose(few.rows[0].loss, same.rows[0].loss, rtol=1e-6)
  with pytest.raises(ValueError, match='examples is 0'):
    scans.scan_model(apply_fn, PARAMS, dataset(7), [0.5], examples=0)


def test_files_hold_the_scan_and_what_each_layer_is_due(tmp_path, capsys):
  scan = scans.scan_model(apply_fn, PARAMS, dataset(7), [0.5, 0.75])
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
  scan = scans.scan_model(apply_fn, PARAMS, dataset(7), [0.5])

  def no_figure(scan):
    raise ValueError('no matplotlib')

  monkeypatch.setattr(plots, 'plot_sensitivity', no_figure)
  scans.write_scan(scan, tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ['sensitivity.json']
  assert 'No figure: no matplotlib' in capsys.readouterr().out

import json

import jax
import ml_collections
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.experiments import data, stages


def tiny_set():
  rng = np.random.default_rng(0)
  labels = np.arange(96, dtype=np.int32) % 3
  images = rng.integers(0, 60, (96, 28, 28, 1), np.uint8)
  for k in range(3):
    images[labels == k, 9 * k : 9 * k + 9] += 120
  return data.Dataset(images[:64], labels[:64], images[64:], labels[64:])


def tiny_config(**changes):
  config = ml_collections.ConfigDict(
    {
      'model': 'lenet_300_100',
      'seed': 0,
      'batch_size': 16,
      'log_every': 4,
      'checkpoint_every': 3,
      'stages': ('dense', 'prune'),
      'dense': {'epochs': 2},
      'prune': {'epochs': 2},
    }
  )
  config.update(changes)
  return config


RECIPE = stages.Recipe(
  get_compressor=lambda config, stage, steps: (
    jc.identity()
    if stage == 'dense'
    else jc.select(jc.KERNELS, jc.magnitude_prune(0.8, every=2))
  ),
  get_optimizer=lambda config, stage, steps: optax.adam(1e-3),
)


def test_stages_hand_on_their_params_and_learn(tmp_path):
  dense, prune = stages.run(tiny_config(), RECIPE, tiny_set(), tmp_path)
  assert dense.error < 40
  assert (dense.train_state.step, prune.train_state.step) == (8, 8)
  kernel = prune.compressor.view(
    prune.train_state.latent, prune.train_state.state
  )['fc2']['kernel']
  assert (kernel == 0).sum() == 24_000
  before = dense.train_state.latent['fc2']['kernel']
  kept = kernel != 0
  np.testing.assert_allclose(kernel[kept], before[kept], atol=0.05)


def test_metrics_are_json_lines_of_all_stages(tmp_path):
  stages.run(tiny_config(), RECIPE, tiny_set(), tmp_path)
  records = list(stages.read_metrics(tmp_path / 'metrics.jsonl'))
  assert [(r['stage'], r['step']) for r in records] == [
    (stage, step) for stage in ('dense', 'prune') for step in (4, 8, 8)
  ]
  assert set(records[0]) == {'stage', 'step', 'loss', 'penalty', 'error'}
  assert set(records[2]) == {'stage', 'step', 'test_error'}


class Stopped(Exception):
  pass


@pytest.mark.parametrize(('stage', 'at'), [('dense', 5), ('prune', 7)])
def test_a_run_cut_off_anywhere_ends_in_the_same_bits(
  stage, at, tmp_path, monkeypatch
):
  def final(workdir):
    last = stages.run(tiny_config(), RECIPE, tiny_set(), workdir)[-1]
    tree = last.compressor.encode(
      last.train_state.latent, last.train_state.state
    )
    return jc.pack(tree), (workdir / 'metrics.jsonl').read_text()

  for name in ('whole', 'cut'):
    (tmp_path / name).mkdir()
  whole = final(tmp_path / 'whole')
  real = data.batches

  def cut_off(*args, start, **kwargs):
    begun = (tmp_path / 'cut' / 'checkpoints' / 'prune').exists()
    mine = begun == (stage == 'prune')
    for i, batch in enumerate(real(*args, start=start, **kwargs)):
      if mine and start + i == at:
        raise Stopped
      yield batch

  with monkeypatch.context() as patch, pytest.raises(Stopped):
    patch.setattr(data, 'batches', cut_off)
    stages.run(tiny_config(), RECIPE, tiny_set(), tmp_path / 'cut')
  assert final(tmp_path / 'cut') == whole


def test_a_finished_run_is_not_trained_again(tmp_path):
  first = stages.run(tiny_config(), RECIPE, tiny_set(), tmp_path)[-1]
  again = stages.run(tiny_config(), RECIPE, tiny_set(), tmp_path)[-1]
  for a, b in zip(
    jax.tree.leaves(first.train_state.latent),
    jax.tree.leaves(again.train_state.latent),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
  with pytest.raises(ValueError, match='multiple of the 8 devices'):
    stages.run(tiny_config(batch_size=12), RECIPE, tiny_set(), tmp_path)


def test_metrics_after_a_resume_have_no_step_twice(tmp_path):
  lines = [
    {'stage': 'dense', 'step': 4},
    {'stage': 'dense', 'step': 8},
    {'stage': 'dense', 'step': 8, 'test_error': 1.0},
    {'stage': 'prune', 'step': 4},
    {'stage': 'prune', 'step': 8},
  ]
  path = tmp_path / 'metrics.jsonl'
  text = ''.join(json.dumps(r) + '\n' for r in lines)
  path.write_text(text + '{"stage": "prune", "st')
  with stages.Metrics(tmp_path, 'prune', 6) as metrics:
    metrics.write(step=8)
  assert list(stages.read_metrics(path)) == lines


def test_metrics_damaged_in_the_middle_are_refused(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"stage": "a"\n{"stage": "a", "step": 1}\n')
  with pytest.raises(ValueError, match='damaged in line 1'):
    list(stages.read_metrics(path))

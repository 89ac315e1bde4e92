import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import jcompress as jc
from jcompress.experiments import changes, removal, stages, training
from jcompress.experiments.metrics import read_metrics
from jcompress.experiments.recipe import Begin, Change, Recode, Train
from jcompress.planning.choices import Choice


def run(tmp_path, *parts, **options):
  return stages.run(tiny.recipe_of(*parts), tiny.config(), tmp_path, **options)


def halved(name='halve'):
  half = lambda params: jax.tree.map(lambda x: x / 2, params)
  return changes.change_params(name, lambda task, v: half(v['params']))


def test_stages_hand_on_their_network_and_learn(tmp_path):
  done = run(tmp_path, tiny.dense(4), tiny.prune())
  assert done.measured['dense']['error'] < 20
  kernel = done.variables['params']['fc1']['kernel']
  assert (kernel == 0).sum() == round(0.8 * kernel.size)
  assert isinstance(done.shipped['params']['fc1']['kernel'], jc.encoded.Sparse)
  statistics = done.shipped['batch_stats']['norm']['mean']
  np.testing.assert_array_equal(
    jc.decode(statistics), done.variables['batch_stats']['norm']['mean']
  )


def test_metrics_are_json_lines_of_all_stages(tmp_path):
  run(tmp_path, tiny.dense(), halved(), tiny.prune())
  records = list(read_metrics(tmp_path / 'metrics.jsonl'))
  assert [(r['stage'], r['step']) for r in records] == [
    *[('dense', step) for step in (4, 8, 8)],
    ('halve', 0),
    *[('prune', step) for step in (4, 8, 8)],
  ]
  measured = {'loss', 'penalty', 'error', 'sparsity'}
  assert set(records[0]) == {'stage', 'step'} | measured
  assert records[0]['sparsity'] == 0 and 79 < records[5]['sparsity'] < 81
  assert set(records[2]) == {'stage', 'step', 'test', 'bits'}
  assert records[2]['bits'] == 32 and 6.4 < records[6]['bits'] < 10
  assert set(records[2]['test']) == {'error', 'loss'}


def test_a_change_is_recorded_with_its_numbers(tmp_path):
  def change(task, variables, key):
    return task, variables, {'draw': float(jax.random.uniform(key))}

  done = run(tmp_path, tiny.dense(), Change('look', change))
  seed = jax.random.fold_in(jax.random.key(0), 1)
  assert done.measured['look']['draw'] == float(jax.random.uniform(seed))
  assert done.measured['look']['error'] == done.measured['dense']['error']
  # It is not done again.
  again = run(tmp_path, tiny.dense(), Change('look', None))
  assert again.measured == done.measured


def test_a_stage_without_epochs_applies_its_compressor(tmp_path):
  share = Train('share', jc.select(jc.KERNELS, jc.kmeans_share(k=2)))
  done = run(tmp_path, tiny.dense(), share)
  values = np.unique(done.variables['params']['fc1']['kernel'])
  assert len(values) == 2


def test_compressors_optimizers_and_losses_are_made_of_the_start(tmp_path):
  seen = []

  def comp(start):
    seen.append((start.steps, start.params['fc2']['bias'].shape))
    return jc.identity()

  def adam(start):
    return optax.adam(optax.constant_schedule(0.01 * start.steps))

  def loss(task, variables):
    seen.append(set(variables))
    return task.loss

  run(tmp_path, Train('one', comp, adam, 0.5, loss))
  assert seen == [(2, (3,)), {'params', 'batch_stats'}]


class Cut(Exception):
  pass


@pytest.mark.parametrize(('stage', 'at'), [('dense', 5), ('prune', 7)])
def test_a_run_cut_off_anywhere_ends_in_the_same_bits(
  stage, at, tmp_path, monkeypatch
):
  parts = tiny.dense(), halved(), tiny.prune()

  def final(workdir):
    done = run(workdir, *parts)
    return jc.pack(done.shipped), (workdir / 'metrics.jsonl').read_text()

  whole = final(tmp_path / 'whole')
  real = training.sources.placed

  def cut_off(source, seed, step, sharding):
    begun = (tmp_path / 'cut' / 'checkpoints' / 'prune').exists()
    if begun == (stage == 'prune') and step == at:
      raise Cut
    return real(source, seed, step, sharding)

  with monkeypatch.context() as patch, pytest.raises(Cut):
    patch.setattr(training.sources, 'placed', cut_off)
    final(tmp_path / 'cut')
  assert final(tmp_path / 'cut') == whole


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
  first = run(tmp_path, tiny.dense(), tiny.prune())
  monkeypatch.delattr(training.sources, 'placed')
  again = run(tmp_path, tiny.dense(), tiny.prune())
  assert jc.pack(first.shipped) == jc.pack(again.shipped)


def test_removed_channels_change_the_task_also_after_a_resume(tmp_path):
  units = {'params/fc1/kernel:1': 0.5}
  parts = tiny.dense(), removal.remove_filters('cut', units), tiny.prune()
  done = run(tmp_path, *parts)
  assert done.variables['params']['fc1']['kernel'].shape == (36, 8)
  assert len(done.task.removed) == 1
  again = run(tmp_path, *parts)
  assert jc.pack(done.shipped) == jc.pack(again.shipped)


def test_what_the_model_does_not_touch_is_kept(tmp_path):
  done = run(
    tmp_path,
    changes.remember(),
    tiny.dense(),
    tiny.prune(1),
    changes.rewind(),
  )
  assert set(done.variables) == {'params', 'batch_stats'}
  start = tiny.task().init(jax.random.key(0))['params']
  kernel = done.variables['params']['fc1']['kernel']
  kept = kernel != 0
  assert kept.mean() == pytest.approx(0.2, abs=0.01)
  np.testing.assert_array_equal(
    kernel[kept], np.asarray(start['fc1']['kernel'])[kept]
  )


BASE = """
import tiny
ROWS = ('small',)
get_config = lambda row: tiny.config()
get_task = lambda config: tiny.task()
get_stages = lambda config, task: [tiny.dense(1), tiny.prune(1)]
"""


def test_a_run_begins_with_a_stage_of_another_row(tmp_path):
  (tmp_path / 'base.py').write_text(BASE)
  recipe = tiny.recipe_of(
    Begin('start', 'base.py:small', 'dense'),
    halved(),
    path=str(tmp_path / 'own.py'),
  )
  config = tiny.config(seed=3)
  done = stages.run(recipe, config, tmp_path / 'a', root=tmp_path / 'root')
  base = tmp_path / 'root' / 'base' / 'small' / 'seed3'
  assert json.loads((base / 'config.json').read_text())['seed'] == 3
  assert [p.name for p in (base / 'checkpoints').iterdir()] == ['dense']
  assert set(done.measured) == {'start', 'halve'}
  # Another run finds it there; that one ends as if it had not been begun.
  stages.run(recipe, config, tmp_path / 'b', root=tmp_path / 'root')
  lines = (base / 'metrics.jsonl').read_text().splitlines()
  assert len(lines) == 2
  other = stages.recipes.load(str(tmp_path / 'base.py:small'))
  whole = stages.run(other, config, base)
  fresh = stages.run(other, config, tmp_path / 'fresh')
  assert jc.pack(whole.shipped) == jc.pack(fresh.shipped)


@pytest.mark.parametrize(
  ('parts', 'until', 'message'),
  [
    ((), None, r'has the stages \[\]'),
    ((tiny.dense(), tiny.dense()), None, 'each needs a name'),
    ((tiny.dense(), tiny.prune()), 'share', "'share'; there are dense, prune"),
  ],
)
def test_stages_that_do_not_make_a_run(parts, until, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    run(tmp_path / 'run', *parts, until=until)
  assert not (tmp_path / 'run').exists()


def test_a_collection_that_was_not_remembered(tmp_path):
  with pytest.raises(ValueError, match=r'let a stage remember\(\) come'):
    run(tmp_path, changes.rewind())


def test_zeros_of_a_mask_stay_zeros_in_the_next_stage(tmp_path):
  tune = Train('tune', changes.keep_mask, optax.adam(1e-2), 1)
  done = run(tmp_path, tiny.prune(1), tune)
  zeros = jnp.sum(done.variables['params']['fc1']['kernel'] == 0)
  assert zeros == round(0.8 * 36 * 16)


def test_what_is_shipped_is_recoded_and_evaluated(tmp_path):
  seen = []

  def fewer(task, variables, encoded):
    seen.append(type(encoded['fc1']['kernel']))
    small = jc.rate_distortion(encoded, 1e9)
    return small, {'moved': 7}

  def quantize():
    rounded = jc.select(jc.KERNELS, jc.linear_quantize(4))
    return Train('quantize', rounded, optax.adam(0.0), 0)

  parts = tiny.dense(), quantize(), Recode('cheaper', fewer)
  done = run(tmp_path, *parts)
  assert seen == [jc.encoded.Quantized]
  assert not done.variables['params']['fc1']['kernel'].any()
  assert not np.asarray(done.shipped['params']['fc1']['kernel'].decode()).any()
  assert done.measured['cheaper']['moved'] == 7
  assert done.measured['cheaper']['error'] > done.measured['quantize']['error']
  assert run(tmp_path, *parts).measured == done.measured


def test_a_change_that_only_looks_ships_what_was(tmp_path):
  look = Change('look', lambda task, variables, key: (task, variables))
  done = run(tmp_path, tiny.dense(4), tiny.prune(), look)
  assert isinstance(done.shipped['params']['fc1']['kernel'], jc.encoded.Sparse)


def test_the_plan_of_a_stage_is_written_and_is_no_number(tmp_path):
  plan = jc.Plan({'fc1/kernel': Choice('linear', {'bits': 4})}, 9, 0.5)
  follow = lambda start: (plan.compressor(), {'plan': plan, 'found': 7.0})
  done = run(tmp_path, Train('plan', follow))
  assert set(done.measured['plan']) == {'error', 'loss', 'found'}
  (record,) = read_metrics(tmp_path / 'metrics.jsonl')
  assert jc.Plan.from_json(record['plan']) == plan

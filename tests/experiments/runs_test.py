import json

import jax
import tiny
from helpers import RUN_FILES

import jcompress as jc
from jcompress.experiments import plots, removal, runs


def test_a_run_writes_what_it_measured_on_the_file(tmp_path, capsys):
  units = {'params/fc1/kernel:1': 0.5}
  recipe = tiny.recipe_of(
    tiny.dense(), removal.remove_filters('cut', units), tiny.prune()
  )
  result = runs.run_recipe(recipe, tiny.config(), tmp_path)
  assert json.loads((tmp_path / 'result.json').read_text()) == result
  assert {p.name for p in tmp_path.iterdir()} == RUN_FILES
  sizes = {'fc1/kernel': 36 * 8, 'fc1/bias': 8, 'fc2/kernel': 24, 'fc2/bias': 3}
  sizes |= {'norm/scale': 8, 'norm/bias': 8}
  assert {
    k.removeprefix('params/'): v['parameters']
    for k, v in result['layers'].items()
  } == sizes
  count = sum(sizes.values())
  assert result['parameters'] == count
  assert result['bytes'] == (tmp_path / 'model.jcz').stat().st_size
  dense = 36 * 16 + 16 + 2 * 16 + 16 * 3 + 3  # before channels went
  assert result['ratio'] == round(4 * dense / result['bytes'], 4)
  assert result['macs'] == 36 * 8 + 8 * 3
  assert result['decoded'] == result['stages']['prune']
  assert list(result['stages']) == ['dense', 'cut', 'prune']
  metadata = jc.load(tmp_path / 'model.jcz').metadata
  assert metadata['recipe'] == 'tiny' and len(metadata['removed']) == 1
  out = capsys.readouterr().out
  assert f'{result["bytes"]:,} bytes' in out and 'cut: error' in out


def test_without_figures_the_rest_is_written(tmp_path, capsys, monkeypatch):
  def no_figure(report):
    raise ValueError('no matplotlib')

  monkeypatch.setattr(plots, 'plot_sizes', no_figure)
  runs.run_recipe(tiny.recipe_of(tiny.dense(1)), tiny.config(), tmp_path)
  assert not list(tmp_path.glob('*.png'))
  assert (tmp_path / 'report.html').exists()
  assert 'No figures: no matplotlib' in capsys.readouterr().out


def test_other_processes_train_and_write_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr(jax, 'process_index', lambda: 1)
  runs.run_recipe(tiny.recipe_of(tiny.dense(0)), tiny.config(), tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ['.lock']


def test_metrics_in_words():
  assert runs.in_words({'error': 8.4, 'loss': 0.23456}) == (
    'error 8.40 %, loss 0.2346'
  )

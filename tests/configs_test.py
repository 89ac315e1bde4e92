"""All config files: their rows, and short runs of them."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from jcompress import main
from jcompress.experiments import arguments, recipe

ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
ROWS = [
  f'{path}:{row}' if row else str(path)
  for path in CONFIGS
  for row in recipe.load(str(path)).rows or ('',)
]
name = lambda path: str(path).rpartition('/')[2]


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_a_config_says_what_it_is_and_how_to_run_it(path):
  text = path.read_text()
  _, doc, *_ = text.split('"""')
  assert f'--config configs/{path.name}' in doc
  assert len(text.splitlines()) <= 250


@pytest.mark.parametrize('row', ROWS, ids=name)
def test_a_row_has_the_numbers_that_every_config_has(row):
  found, config = arguments.config_of(row, ['--config.seed=3'])
  assert set(recipe.defaults()) <= set(config) and config.seed == 3
  assert found.rows == () or config.row == found.row


@pytest.fixture
def arrays(tmp_path):
  digits = load_digits()
  x, y = digits.data, digits.target
  path = tmp_path / 'arrays.npz'
  np.savez(
    path, x_train=x[:400], y_train=y[:400], x_test=x[400:], y_test=y[400:]
  )
  return path


@pytest.mark.slow
@pytest.mark.parametrize(
  'row',
  ['images:resnet20', 'images:vit', 'character_lstm', 'own_arrays', 'own_task'],
)
def test_any_model_and_data_from_a_config_to_a_file(
  row, arrays, tmp_path, capsys
):
  file, _, row_name = row.partition(':')
  path = f'{ROOT / "configs" / file}.py' + (f':{row_name}' if row_name else '')
  words = [f'--config={path}', '--config.share=0.02']
  if file == 'own_arrays':
    words.append(f'--config.data={arrays}')
  if file == 'images':
    words.append('--config.examples=512')
  main.main(['train', *words, f'--workdir={tmp_path / "run"}'])
  result = json.loads((tmp_path / 'run' / 'result.json').read_text())
  capsys.readouterr()
  files = [str(tmp_path / 'run' / 'model.jcz')]
  if file == 'own_task':
    files.append(f'--config={path}')
  main.main(['evaluate', *files])
  error = f'error {result["decoded"]["error"]:.2f} %'
  assert capsys.readouterr().out.startswith(error)


@pytest.mark.slow
def test_every_row_runs_from_its_config_to_a_file(tmp_path):
  rows = [r for r in ROWS if 'own_arrays' not in r and 'sentence' not in r]
  words = [f'--config={row}' for row in rows]
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'jcompress.main', 'sweep', *words),
      *('--config.share=0.003', '--config.examples=256', '--jobs=2'),
      f'--workdir={tmp_path}',
    ],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert len(list(tmp_path.glob('*/**/result.json'))) == len(rows)

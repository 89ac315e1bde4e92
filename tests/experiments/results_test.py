import csv
import json

import pytest

from jcompress.experiments import results


def run(recipe, seed, error, size, metric='error', **more):
  return {
    'recipe': recipe,
    'data': 'digits',
    'seed': seed,
    'stages': {'dense': {metric: error - 1}, 'share': {metric: error}},
    'decoded': {metric: error, 'loss': 0.5},
    'bytes': size,
    'ratio': 4000 / size,
    'bits': 8 * size / 1000,
    'nonzeros': 500,
    'layers': {
      'params/fc/kernel': {'parameters': 900, 'nonzeros': 400, 'bytes': size},
      'params/fc/bias': {'parameters': 0, 'nonzeros': 0, 'bytes': 0},
    },
    **more,
  }


RUNS = (
  run('pruning:rigl', 0, 8.0, 100),
  run('pruning:rigl', 1, 9.0, 300),
  run('pruning:obd', 0, 7.0, 400),
  run('sentences', 0, 0.02, 50, 'distance'),
)


@pytest.fixture
def folder(tmp_path):
  for i, contents in enumerate(RUNS):
    place = tmp_path / f'{i}' / 'deeper'
    place.mkdir(parents=True)
    (place / 'result.json').write_text(json.dumps(contents))
  return tmp_path


def test_seeds_of_a_row_are_together(folder):
  obd, rigl, sentences = results.read(folder)
  assert [r.name for r in (obd, rigl, sentences)] == [
    'obd',
    'rigl',
    'sentences',
  ]
  assert (rigl.error, rigl.bytes, rigl.metric) == (8.5, 200, 'error')
  assert sentences.family == sentences.name == 'sentences'
  assert sentences.metric == 'distance'


def test_a_table_has_means_and_their_spread(folder):
  text = results.markdown(results.read(folder))
  lines = text.splitlines()
  assert lines[0] == '## pruning on digits'
  assert lines[2].startswith('| row | seeds | after each stage | decoded')
  assert lines[5] == (
    '| rigl | 0, 1 | dense 7.50, share 8.50 | 8.50 ± 0.71 % | 500 | 200 | '
    '26.7x | 1.600 |'
  )
  assert '| sentences | 0 | dense -0.98, share 0.02 | 0.02 (distance) |' in text


def test_the_command_writes_tables_and_figures(folder, capsys):
  results.main([str(folder)])
  rows = results.read(folder)
  assert capsys.readouterr().out == results.markdown(rows)
  assert (folder / 'results.md').read_text() == results.markdown(rows)
  with (folder / 'results.csv').open(newline='') as file:
    records = list(csv.DictReader(file))
  assert [r['recipe'] for r in records] == [
    'pruning:obd',
    'pruning:rigl',
    'pruning:rigl',
    'sentences',
  ]
  assert records[1]['stages.share.error'] == '8.0'
  assert records[1]['layers.params/fc/kernel.bytes'] == '100'
  assert records[3]['decoded.distance'] == '0.02'
  page = (folder / 'results.html').read_text()
  assert page.count('<table') == 2 and '8.50 ± 0.71 %' in page
  assert page.count('<img') == len(list(folder.glob('*.png'))) == 5


def test_a_folder_without_runs_is_refused(tmp_path):
  with pytest.raises(ValueError, match='no result.json'):
    results.main([str(tmp_path)])

import json
import pathlib
import subprocess
import sys

import pytest

from jcompress.experiments import sweep

HERE = pathlib.Path(__file__).parent
CONFIG = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import tiny
ROWS = 'short', 'broken'

def get_config(row='short'):
  config = tiny.config()
  config.epochs, config.row = 1.0, row
  return config

get_task = lambda config: tiny.task()

def get_stages(config, task):
  if config.row == 'broken':
    raise RuntimeError('as it was meant to be')
  return [tiny.dense(config.epochs)]
"""


@pytest.fixture
def path(tmp_path):
  path = tmp_path / 'family.py'
  path.write_text(CONFIG)
  return path


def test_all_rows_of_a_file_with_all_seeds(path):
  root = path.parent / 'runs'
  names = [str(path), f'{path}:short']
  jobs = sweep.plan(names, ['--config.share=0.5'], ['0', '2'], root)
  assert [str(j.workdir.relative_to(root)) for j in jobs] == [
    'family/short/seed0',
    'family/short/seed2',
    'family/broken/seed0',
    'family/broken/seed2',
  ]
  assert jobs[1].name == f'{path}:short'
  assert jobs[1].changes == ('--config.share=0.5', '--config.seed=2')


def test_what_is_mistyped_is_said_before_anything_runs(path):
  with pytest.raises(ValueError, match="no key 'sed'"):
    sweep.plan([str(path)], ['--config.sed=1'], ['0'], path.parent)
  with pytest.raises(ValueError, match="no row 'long'"):
    sweep.plan([f'{path}:long'], [], ['0'], path.parent)
  with pytest.raises(ValueError, match='needs --config'):
    sweep.main(['--workdir=x'])
  with pytest.raises(ValueError, match='jobs is 0'):
    sweep.main([f'--config={path}', '--workdir=x', '--jobs=0'])


@pytest.mark.slow
def test_a_run_goes_on_when_another_fails(path):
  root = path.parent / 'runs'
  good, bad = sweep.plan([str(path)], [], ['0'], root)
  assert sweep.run_job(bad) == 'RuntimeError: as it was meant to be (exit 1)'
  assert 'Traceback' in (bad.workdir / 'log.txt').read_text()
  assert sweep.run_job(good) is None
  assert json.loads((good.workdir / 'result.json').read_text())['seed'] == 0
  assert 'decoded from' in (good.workdir / 'log.txt').read_text()


@pytest.mark.slow
@pytest.mark.parametrize('where', ['--jobs=2', '--cluster=local'])
def test_a_sweep_runs_what_is_missing(path, where):
  words = [f'--config={path}', f'--workdir={path.parent / "runs"}', where]
  for missing in (2, 1):
    done = subprocess.run(
      [sys.executable, '-m', 'jcompress.main', 'sweep', *words],
      capture_output=True,
      text=True,
    )
    assert f'2 runs, {missing} of them to do' in done.stdout
    assert '1 runs failed: family/broken/seed0' in done.stderr
    assert done.returncode == 1


def test_without_submitit_the_error_names_the_extra(path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'submitit', None)
  words = [f'--config={path}', f'--workdir={path.parent}', '--cluster=local']
  with pytest.raises(ValueError, match=r'jcompress\[cluster\]'):
    sweep.main(words)

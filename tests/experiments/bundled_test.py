"""Configs by name: in a checkout, in an installed package, in a wheel."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from jcompress.experiments import arguments, bundled, recipe, sweep

ROOT = pathlib.Path(__file__).parents[2]


def test_a_config_of_the_package_is_named_without_a_path(tmp_path):
  for name in ('--config=jcompress:pruning:obd', '-config=jcompress:pruning'):
    parser = arguments.Parser('usage')
    words = [name, '--config.seed=3', '--config.data=jcompress:pruning:obd']
    parser.config(words)
    assert parser.parse(words, 0)
    row = 'obd' if name.endswith('obd') else parser.recipe().rows[0]
    assert parser.recipe().name == f'pruning:{row}'
    config = parser.values.config
    assert (config.row, config.seed) == (row, 3)
    assert config.data == 'jcompress:pruning:obd'  # is not of --config
  names = [
    job.name for job in sweep.plan(['jcompress:rate'], [], '0', tmp_path)
  ]
  found = recipe.load('jcompress:rate')
  assert names == [f'{ROOT}/configs/rate.py:{row}' for row in found.rows]


def test_an_installed_package_has_them_inside(tmp_path):
  package = tmp_path / 'jcompress'
  (tmp_path / 'configs').mkdir()
  (tmp_path / 'configs/mine.py').touch()
  want = tmp_path / 'configs/mine.py'
  assert bundled.located('jcompress:mine:row', package) == f'{want}:row'
  (package / 'configs').mkdir(parents=True)
  (package / 'configs/mine.py').touch()
  want = package / 'configs/mine.py'
  assert bundled.located('jcompress:mine', package) == str(want)
  assert bundled.located('jcompress.py', package) == 'jcompress.py'
  with pytest.raises(ValueError, match="'jcompress:x'.*there are mine:"):
    bundled.located('jcompress:x', package)


@pytest.mark.slow
def test_a_wheel_trains_without_the_repository(tmp_path):
  wheel = pytest.importorskip('hatchling.builders.wheel')
  (built,) = wheel.WheelBuilder(str(ROOT)).build(
    directory=str(tmp_path), versions=['standard']
  )
  site = tmp_path / 'site'
  zipfile.ZipFile(built).extractall(site)
  words = 'train --config=jcompress:deep_compression --workdir=run'.split()
  short = ['--config.share=0.005', '--config.examples=256']
  done = subprocess.run(
    [sys.executable, '-m', 'jcompress', *words, *short],
    cwd=tmp_path,
    env=os.environ | {'PYTHONPATH': str(site)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'run/model.jcz').exists()

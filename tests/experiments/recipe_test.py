import numpy as np
import optax
import pytest

from jcompress.experiments import recipe

CONFIG = """
ROWS = 'small', 'large'

def get_config(row='small'):
  from jcompress.experiments import recipe
  return recipe.defaults(row=row, epochs=2.0)

def get_task(config):
  return config.row

def get_stages(config, task):
  return [task]
"""


def write(tmp_path, text, name='family.py'):
  path = tmp_path / name
  path.write_text(text)
  return str(path)


def test_a_row_of_a_file(tmp_path):
  path = write(tmp_path, CONFIG)
  found = recipe.load(f'{path}:large')
  config = found.config()
  assert (found.name, found.rows) == ('family:large', ('small', 'large'))
  assert (config.row, config.epochs, config.seed) == ('large', 2.0, 0)
  assert found.get_stages(config, found.get_task(config)) == ['large']


def test_without_a_row_it_is_the_first(tmp_path):
  found = recipe.load(write(tmp_path, CONFIG))
  assert (found.name, found.config().row) == ('family:small', 'small')


def test_a_file_without_rows(tmp_path):
  text = CONFIG.replace("ROWS = 'small', 'large'", '')
  found = recipe.load(write(tmp_path, text))
  assert (found.name, found.config().row) == ('family', 'small')
  with pytest.raises(ValueError, match="no row 'x'; there are none"):
    recipe.load(f'{found.path}:x')


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    (
      'def get_config(): pass',
      r'define get_task\(\), get_stages\(\); a config',
    ),
    ('x = 1\nx = = 2', 'family.py, line 2: invalid syntax'),
    (CONFIG, "no row 'tiny'; there are small, large"),
  ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, text, message):
  path = write(tmp_path, text)
  with pytest.raises(ValueError, match=message) as caught:
    recipe.load(f'{path}:tiny')
  assert '\n' not in str(caught.value)


def test_a_missing_file(tmp_path):
  for name in ('missing.py', 'notes.txt'):
    with pytest.raises(ValueError, match='is not a Python file'):
      recipe.load(str(tmp_path / name))


def test_a_rate_falls_to_zero_over_its_stage():
  start = recipe.Start(None, {'params': 1}, 10)
  tx = recipe.half_cosine(optax.sgd, 0.4, momentum=0.0)(start)
  state, steps = tx.init(0.0), []
  for _ in range(11):
    update, state = tx.update(1.0, state)
    steps.append(float(-update))
  np.testing.assert_allclose(steps[::5], [0.4, 0.2, 0], atol=1e-7)


def test_a_sparsity_rises_in_the_first_half_of_a_stage():
  rising = recipe.Start(None, {}, 10).rising_sparsity(0.8)
  found = [float(rising(step)) for step in (0, 3, 6, 9)]
  np.testing.assert_allclose(found, [0, 0.7, 0.8, 0.8], rtol=1e-6)

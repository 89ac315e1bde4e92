import pytest

from jcompress.experiments import arguments

CONFIG = """
from jcompress.experiments import recipe
ROWS = ('a', 'b')
get_config = lambda row='a': recipe.defaults(row=row, epochs={'dense': 2.0})
get_task = get_stages = None
"""


@pytest.fixture
def path(tmp_path):
  path = tmp_path / 'family.py'
  path.write_text(CONFIG)
  return str(path)


def test_a_config_and_its_changed_numbers(path):
  changes = ['--config.epochs.dense=3', '--config.seed=7']
  recipe, config = arguments.config_of(f'{path}:b', changes)
  assert recipe.name == 'family:b'
  assert (config.row, config.epochs.dense, config.seed) == ('b', 3, 7)


@pytest.mark.parametrize(
  ('word', 'message'),
  [
    ('--config.epoch.dense=3', "no key 'epoch'. Did you mean 'epochs'?"),
    ('--config.epochs.dens=3', "no key 'dens'. Did you mean 'dense'?"),
    ('--config.seed=x', 'invalid literal'),
  ],
)
def test_a_key_that_there_is_not_has_a_neighbour(path, word, message):
  with pytest.raises(Exception, match=message) as caught:
    arguments.config_of(path, [word])
  assert '\n' not in str(caught.value)


def parser():
  found = arguments.Parser('usage of it')
  found.folder('workdir', 'where to')
  found.count('jobs', 1, 'at a time')
  return found


def test_flags_and_words():
  found = parser()
  assert found.parse(['a', '--jobs=3', 'b'], 2)
  assert found.others == ['a', 'b']
  assert (found.values.jobs, found.values.workdir) == (3, None)


def test_what_is_wrong_is_said():
  with pytest.raises(ValueError, match='--wrkdir. Did you mean --workdir?'):
    parser().parse(['--wrkdir=x'], 0)
  with pytest.raises(ValueError, match=r"got \['a'\]. Usage:\nusage of it"):
    parser().parse(['a'], 0)


def test_help_lists_the_flags(path, capsys):
  found = parser()
  found.config([f'--config={path}', '--help'])
  assert not found.parse([f'--config={path}', '--help'], 3)
  out = capsys.readouterr().out
  assert out.startswith('usage of it\n') and '--jobs: at a time' in out
  assert '--config: FILE.py or FILE.py:ROW' in out and 'config.seed' not in out


def test_a_config_with_an_error_is_refused_before_it_is_used(path):
  with pytest.raises(ValueError, match='no row .c.; there are a, b'):
    parser().config(['--config', f'{path}:c'])

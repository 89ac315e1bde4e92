"""What the documentation says is run: doctests, and the blocks of its pages."""

import doctest
import importlib
import importlib.util
import pathlib
import pkgutil
import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.experiments import recipe

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])
BLOCK = re.compile(r'(?:<!-- (.*?) -->\n)?```python\n(.*?)```', re.S)
START = ROOT / 'docs/index.md'
RECIPES = ROOT / 'docs/guides/recipes.md'
MADE_OF = (
  'changes data evaluation files recipe removal runs tasks teaching'.split()
)
MODULES = [
  m.name for m in pkgutil.walk_packages(jc.__path__, prefix='jcompress.')
]


def blocks(page):
  """What is said of each block of Python, and its text."""
  return BLOCK.findall(page.read_text())


@pytest.mark.parametrize('name', MODULES)
def test_doctests_hold_and_modules_have_docstrings(name):
  module = importlib.import_module(name)
  assert doctest.testmod(module).failed == 0
  is_package = hasattr(module, '__path__')
  assert is_package or module.__doc__


@pytest.fixture(scope='module')
def given():
  """The names that the first page makes for all others."""
  names = {}
  exec(blocks(START)[0][1], names)
  return names


@pytest.mark.filterwarnings('default')
@pytest.mark.parametrize(
  'page',
  [p for p in PAGES if blocks(p) and p != RECIPES],
  ids=lambda p: str(p.relative_to(ROOT)),
)
def test_the_blocks_of_a_page_run_one_after_the_other(
  page, given, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  names = {'tx': optax.adam(1e-2), **given}
  if page.name == 'README.md':
    names['batches'] = given['batches'][:3]
  missing = []
  for said, source in blocks(page):
    needed = said.removeprefix('needs ')
    if needed != said and importlib.util.find_spec(needed) is None:
      missing.append(needed)
      continue
    trains_again = 'ts = jc.init_train_state(share, tx, pruned)\n'
    source = re.sub(r'\.\.\. .*\n', trains_again, source)
    exec(compile(source, str(page), 'exec'), names)
  if missing:
    pytest.skip(f'The blocks that need {missing} were not run.')


def test_the_readme_method_is_binary_connect():
  *_, (_, source) = blocks(ROOT / 'README.md')
  names = {'jc': jc, 'jnp': jnp}
  exec(source, names)
  comp = names['binary_connect']()
  w = jnp.array([0.3, -2.0, 0.0])
  latent, state = comp.init(w)
  np.testing.assert_array_equal(comp.view(latent, state), [1, -1, 1])
  latent, state = comp.update(latent, state, w)
  np.testing.assert_array_equal(latent, [w[0], -1, 0])
  decoded = jc.decode(jc.unpack(jc.pack(comp.encode(latent, state))).tree)
  np.testing.assert_array_equal(decoded, [1, -1, 1])


@pytest.mark.slow
def test_the_recipe_of_the_guide_runs(tmp_path):
  ((_, source),) = blocks(RECIPES)
  names = {
    'jc': jc,
    'optax': optax,
    **{
      n: importlib.import_module(f'jcompress.experiments.{n}') for n in MADE_OF
    },
    'models': importlib.import_module('jcompress.models'),
    'Train': recipe.Train,
    'half_cosine': recipe.half_cosine,
  }
  exec(source.replace('resnet20', 'resnet8'), names)
  functions = (names[n] for n in ('get_config', 'get_task', 'get_stages'))
  mine = recipe.Recipe('guide', '', *functions)
  config = mine.config()
  config.examples, config.epochs = 256, 0.5
  result = names['runs'].run_recipe(mine, config, tmp_path)
  assert list(result['stages']) == [
    'dense',
    'cut',
    'recalibrate',
    'prune',
    'share',
  ]
  task, variables = names['files'].load(tmp_path / 'model.jcz')
  assert names['evaluation'].evaluate(task, variables) == pytest.approx(
    result['decoded'], abs=1e-4
  )

"""What the documentation says is run: doctests, and the README's examples."""

import doctest
import importlib
import pathlib
import pkgutil
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

ROOT = pathlib.Path(__file__).parents[1]
MADE_OF = (
  'changes data evaluation files recipe removal runs tasks teaching'.split()
)
MODULES = [
  m.name for m in pkgutil.walk_packages(jc.__path__, prefix='jcompress.')
]


@pytest.mark.parametrize('name', MODULES)
def test_doctests_hold_and_modules_have_docstrings(name):
  module = importlib.import_module(name)
  assert doctest.testmod(module).failed == 0
  is_package = hasattr(module, '__path__')
  assert is_package or module.__doc__


def test_the_readme_method_is_binary_connect():
  (source,) = re.findall(
    r'```python\n(def binary_connect.*?)```',
    (ROOT / 'README.md').read_text(),
    re.S,
  )
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


def test_the_readme_loop_runs(tmp_path, monkeypatch):
  loop, *_ = re.findall(
    r'```python\n(.*?)```', (ROOT / 'README.md').read_text(), re.S
  )
  monkeypatch.chdir(tmp_path)
  key = jax.random.key(0)
  params = {'fc1': {'kernel': jax.random.normal(key, (8, 4))}}
  names = {
    'params': params,
    'tx': optax.adam(1e-2),
    'batches': [jnp.ones((3, 8))] * 2,
    'loss_fn': lambda p, x: ((x @ p['fc1']['kernel']) ** 2).mean(),
  }
  trains_again = 'ts = jc.init_train_state(share, tx, pruned)\n'
  assert '...' in loop
  exec(re.sub(r'\.\.\. .*\n', trains_again, loop), names)
  assert (tmp_path / 'model.jcz').exists()
  assert names['params']['fc1']['kernel'].shape == (8, 4)


@pytest.mark.slow
def test_the_readme_recipe_runs(tmp_path):
  text = (ROOT / 'README.md').read_text()
  (source,) = re.findall(r'```python\n(def get_config.*?)```', text, re.S)
  names = {
    'jc': jc,
    'optax': optax,
    **{
      n: importlib.import_module(f'jcompress.experiments.{n}') for n in MADE_OF
    },
    'models': importlib.import_module('jcompress.models'),
    'Train': importlib.import_module('jcompress.experiments.recipe').Train,
  }
  exec(source.replace('resnet20', 'resnet8'), names)
  functions = (names[n] for n in ('get_config', 'get_task', 'get_stages'))
  recipe = names['recipe'].Recipe('readme', '', *functions)
  config = recipe.config()
  config.examples, config.epochs = 256, 0.5
  result = names['runs'].run_recipe(recipe, config, tmp_path)
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

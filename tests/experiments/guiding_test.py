import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import jcompress as jc
from jcompress.experiments import guiding, helping, stages, tasks
from jcompress.experiments.recipe import Change, Train

KEY = jax.random.key(0)


class Two(nn.Module):
  """Two convolutions."""

  width: int

  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Conv(self.width, (3, 3), name='a')(x))
    x = nn.relu(nn.Conv(2 * self.width, (3, 3), name='b')(x))
    return nn.Dense(3, name='c')(x.mean((1, 2)))


def task(width):
  return tasks.image_classification(Two(width), tiny.dataset(), 16)


SMALL, LARGE = task(2), task(4)
STUDENT, TEACHER = (jax.jit(t.init)(KEY) for t in (SMALL, LARGE))
BATCH = jax.device_put(SMALL.train.get(0, 0, slice(None)))
PAIRS = {'a/kernel': 'a/kernel', 'b/kernel': 'b/kernel'}
SIZES = {'a/kernel': 4, 'b/kernel': 8}


def responses(variables, width):
  run = lambda p, x: Two(width).apply({'params': p}, x)
  images = jnp.asarray(BATCH['image'], jnp.float32) / 255
  found = jc.distill.features(run, variables['params'], images, paths=PAIRS)
  return found['a/kernel'], found['b/kernel']


def with_regressors():
  change = guiding.add_regressors('add', SIZES)
  return change.change(SMALL, STUDENT, KEY)[1]


def test_a_hint_is_seen_through_its_regressor():
  variables = with_regressors()
  lesson = guiding.guided(PAIRS)(LARGE, TEACHER)
  value, metrics, _ = lesson.run(SMALL, lesson.given, variables, BATCH, KEY)
  helpers = variables['params'][helping.HELPERS]
  want = 0
  pairs = zip(responses(STUDENT, 2), responses(TEACHER, 4), 'ab', strict=True)
  for s, t, name in pairs:
    r = helpers[f'{name}.kernel']
    want += jc.distill.hint(s, t, lambda s, r=r: s @ r['matrix'] + r['shift'])
  np.testing.assert_allclose(value, want, rtol=1e-5)
  assert 'error' in metrics


def test_flow_through_regressors_has_as_many_channels():
  variables = with_regressors()
  lesson = guiding.guided(PAIRS, jc.distill.flow)(LARGE, TEACHER)
  value, *_ = lesson.run(SMALL, lesson.given, variables, BATCH, KEY)
  assert np.isfinite(value)
  with pytest.raises(ValueError, match='as many channels'):
    lesson.run(SMALL, lesson.given, STUDENT, BATCH, KEY)


def test_two_stages_leave_no_helper(tmp_path):
  other = Change('teacher', lambda t, v, key: (t, v))
  hint = Train(
    'hint',
    jc.select(jc.KERNELS, jc.identity()),
    optax.adam(1e-2),
    1,
    lambda t, v: guiding.guided(PAIRS)(LARGE, TEACHER),
  )
  recipe = tiny.recipe_of(
    other,
    guiding.add_regressors('add', SIZES),
    hint,
    helping.drop_helpers('drop'),
    make_task=lambda: SMALL,
  )
  done = stages.run(recipe, tiny.config(), tmp_path)
  assert jax.tree.structure(done.variables) == jax.tree.structure(STUDENT)
  again = stages.run(recipe, tiny.config(), tmp_path)
  jax.tree.map(np.testing.assert_array_equal, done.variables, again.variables)


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='No kernel x; there are a/bias'):
    guiding.add_regressors('add', {'x': 3}).change(SMALL, STUDENT, KEY)

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from helpers import equations

import jcompress as jc
from jcompress.experiments import augment, sources, stages, tasks, training
from jcompress.experiments.recipe import Begin, Recipe, Train
from jcompress.experiments.sources import WHOLE
from jcompress.experiments.teaching import LOGITS, taught

KEY = jax.random.key(0)
TASK = tiny.task()
VARIABLES = jax.jit(TASK.init)(KEY)
BATCH = jax.device_put(TASK.train.get(0, 0, WHOLE))


def value_of(make, task=TASK, variables=VARIABLES, batch=BATCH):
  lesson = make(TASK, VARIABLES)
  return lesson.run(task, lesson.given, variables, batch, KEY)


def test_the_value_is_that_of_its_parts():
  pairs = {'fc2/kernel': 'fc2/kernel'}
  loss = taught(
    2.0, 0.75, pairs=pairs, between=jc.distill.relational, strength=3.0
  )
  outputs, new = TASK.apply(VARIABLES, BATCH, KEY)
  teacher = TASK.predict(VARIABLES, BATCH)
  value, metrics, collections = value_of(loss)
  hard, _ = TASK.loss(outputs, BATCH)
  want = 0.25 * hard + 0.75 * jc.distill.soft_targets(outputs, teacher, 2.0)
  bias = VARIABLES['params']['fc2']['bias']
  want += 3 * jc.distill.relational(outputs - bias, teacher - bias)
  np.testing.assert_allclose(value, want, rtol=1e-4)
  assert set(metrics) == {'error'} and set(collections) == set(new)


def test_another_loss_of_logits_and_labels():
  soft = lambda z, v, labels: jc.distill.decoupled(z, v, labels)
  value, *_ = value_of(taught(weight=1.0, soft=soft))
  outputs, _ = TASK.apply(VARIABLES, BATCH, KEY)
  want = soft(outputs, TASK.predict(VARIABLES, BATCH), BATCH['label'])
  np.testing.assert_allclose(value, want, rtol=1e-5)


def test_an_augmented_batch_is_the_same_for_both():
  dataset, flip = tiny.dataset(), augment.flipped()
  task = tasks.image_classification(tiny.Net(), dataset, 16, augment=flip)
  same = lambda z, v, labels: jnp.abs(z - v).max()
  # A network whose training is its evaluation.
  task = task._replace(
    apply=lambda v, batch, key: (task.predict(v, task.seen(batch, key)), {})
  )
  value, *_ = value_of(taught(weight=1.0, soft=same), task)
  assert value == 0
  plain = task._replace(seen=None)
  value, *_ = value_of(taught(weight=1.0, soft=same), plain)
  assert value > 0


def run(stage, tmp_path, *before, **options):
  recipe = tiny.recipe_of(*before, stage, **options)
  return stages.run(recipe, tiny.config(), tmp_path)


def compiled(loss, monkeypatch, tmp_path):
  """The step of a stage, as it is traced."""
  seen = []
  real = training.train_step

  def spy(loss_fn, compressor, tx):
    step = real(loss_fn, compressor, tx)

    def call(ts, batch):
      if not seen:
        seen.append(jax.make_jaxpr(step)(ts, batch))
      return step(ts, batch)

    return call

  with monkeypatch.context() as patch:
    patch.setattr(training, 'train_step', spy)
    stage = Train('taught', jc.identity(), optax.adam(1e-2), 0.25, loss)
    run(stage, tmp_path)
  return seen[0]


def test_a_teacher_is_an_argument_of_the_step(monkeypatch, tmp_path):
  closed = compiled(taught(), monkeypatch, tmp_path)
  sizes = [np.size(c) for c in closed.consts]
  sizes += [
    np.size(c)
    for eqn in equations(closed.jaxpr)
    for value in eqn.params.values()
    for c in getattr(value, 'consts', ())
  ]
  assert sum(sizes) < 16
  count = lambda v: sum(x.size for x in jax.tree.leaves(v))
  given = sum(v.aval.size for v in closed.jaxpr.invars)
  # Latent, two moments of Adam, and the teacher.
  assert given > 4 * count(VARIABLES['params'])


def test_a_student_is_taught_by_the_network_of_before(tmp_path):
  loss = taught(weight=0.9)
  done = run(tiny.prune(loss=loss), tmp_path, tiny.dense())
  assert done.measured['prune']['error'] < 20


def test_a_student_is_taught_by_another_row(tmp_path):
  """By a config file of its own, of another width."""
  path = tmp_path / 'teacher.py'
  path.write_text(
    'import tiny\n'
    'get_config = lambda: tiny.config()\n'
    'get_task = lambda config: tiny.task()\n'
    'get_stages = lambda config, task: [tiny.dense()]\n'
  )

  class Small(tiny.Net):
    pass

  make = lambda: tasks.image_classification(Small(), tiny.dataset(), 16)
  seen = []

  def loss(task, variables):
    seen.append(variables)
    return taught()(task, variables)

  stage = Train(
    'train',
    jc.identity(),
    optax.adam(1e-2),
    0.5,
    loss,
    teacher=Begin('', 'teacher.py', 'dense'),
  )
  recipe = Recipe(
    str(tmp_path / 'own.py'),
    '',
    tiny.config,
    lambda config: make(),
    lambda config, task: [stage],
  )
  root = tmp_path / 'runs'
  stages.run(recipe, tiny.config(), root / 'own', root=root)
  assert (root / 'teacher' / 'seed0' / 'checkpoints' / 'dense').exists()
  start = TASK.init(jax.random.key(0))
  moved = seen[0]['params']['fc1']['kernel'] != start['params']['fc1']['kernel']
  assert moved.any()


def test_cached_logits_are_those_of_each_example(tmp_path):
  make = taught(cache=tmp_path)
  lesson = make(TASK, VARIABLES)
  assert lesson.given is None
  source = lesson.source(TASK)
  for step in (0, 3, 5):
    batch = source.get(1, step, slice(2, 9))
    want = TASK.predict(VARIABLES, batch)
    np.testing.assert_allclose(batch[LOGITS], want, rtol=1e-4, atol=1e-5)
  (file,) = tmp_path.iterdir()
  before = file.stat().st_mtime_ns
  make(TASK, VARIABLES).source(TASK)
  assert file.stat().st_mtime_ns == before
  other = jax.tree.map(lambda x: x + 1, VARIABLES)
  make(TASK, other).source(TASK)
  assert len(list(tmp_path.iterdir())) == 2
  batch = jax.device_put(source.get(0, 0, WHOLE))
  cached = lesson.run(TASK, None, VARIABLES, batch, KEY)[0]
  np.testing.assert_allclose(cached, value_of(taught())[0], rtol=1e-5)


def test_a_stage_learns_from_a_cache(tmp_path):
  stage = Train(
    'train', jc.identity(), optax.adam(1e-2), 1, taught(cache=tmp_path / 'c')
  )
  done = run(stage, tmp_path / 'run', tiny.dense())
  assert done.measured['train']['error'] < 34


def test_a_cache_with_augmentation_or_hidden_tokens_is_refused(tmp_path):
  lesson = taught(cache=tmp_path)(TASK, VARIABLES)
  with pytest.raises(ValueError, match='leave out cache='):
    lesson.source(TASK._replace(seen=lambda batch, key: batch))
  rows = {'tokens': np.zeros((16, 4), np.int32)}
  hidden = sources.masked(sources.shuffled(rows, 8), 3)
  with pytest.raises(ValueError, match='makes its examples anew'):
    lesson.source(TASK._replace(train=hidden))
  with pytest.raises(ValueError, match='logits alone'):
    taught(cache=tmp_path, pairs={'a': 'a'}, strength=1.0)


def test_weights_are_checked_as_the_loss_is_made():
  with pytest.raises(ValueError, match='weight is 2'):
    taught(weight=2)


def test_a_row_cannot_wait_for_itself(tmp_path):
  path = tmp_path / 'own.py'
  path.write_text(
    'import tiny\n'
    'get_config = lambda: tiny.config()\n'
    'get_task = lambda config: tiny.task()\n'
    'get_stages = lambda config, task: [tiny.dense()]\n'
  )
  stage = tiny.dense()._replace(
    loss=taught(), teacher=Begin('', 'own.py', 'dense')
  )
  recipe = tiny.recipe_of(stage, path=str(path))
  with pytest.raises(ValueError, match="own needs its own stage 'dense'"):
    stages.run(recipe, tiny.config(), tmp_path / 'run')

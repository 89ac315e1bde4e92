import jax
import numpy as np
import tiny

import jcompress as jc
from jcompress import models
from jcompress.experiments import (
  factoring,
  files,
  rank_rules,
  removal,
  tasks,
)
from jcompress.experiments.sources import WHOLE

KEY = jax.random.key(0)


def factor(plan, task=None, variables=None):
  task = task or tiny.task()
  variables = variables or task.init(KEY)
  change = factoring.factorize('factor', plan)
  return variables, *change.change(task, variables, KEY)


def test_the_small_task_trains_and_predicts():
  before, task, small, facts = factor({'fc1/kernel': jc.svd(3)})
  pair = small['params']['fc1']['kernel']
  assert jax.tree.map(np.shape, pair) == {
    'first': {'kernel': (36, 3)},
    'last': {'kernel': (3, 16)},
  }
  assert facts == {'factored': 1}
  batch = task.train.get(0, 0, WHOLE)
  product = pair['first']['kernel'] @ pair['last']['kernel']
  dense = jax.tree.map(lambda x: x, before)
  dense['params']['fc1']['kernel'] = product
  np.testing.assert_allclose(
    task.predict(small, batch), tiny.task().predict(dense, batch), atol=1e-4
  )

  def loss(params):
    outputs, new = task.apply({**small, 'params': params}, batch, KEY)
    return task.loss(outputs, batch)[0], new

  grads, new = jax.jit(jax.grad(loss, has_aux=True))(small['params'])
  assert np.abs(grads['fc1']['kernel']['first']['kernel']).max() > 0
  assert new['batch_stats']['norm']['mean'].shape == (16,)


def test_where_nothing_pays_the_network_is_handed_on_whole():
  task, variables = tiny.task(), tiny.task().init(KEY)
  change = factoring.factorize('factor', rank_rules.by_rule(1.0))
  same, found = change.change(task, variables, KEY)
  assert same is task and found is variables


def test_a_file_rebuilds_what_was_cut_and_factored_in_turn(tmp_path):
  images = tiny.dataset()
  path = tmp_path / 'own.npz'
  names = dict(x_train='train_inputs', y_train='train_labels')
  names |= dict(x_test='test_inputs', y_test='test_labels')
  np.savez(path, **{k: getattr(images, v) for k, v in names.items()})
  images = images._replace(name=str(path))
  model = models.build('resnet8', classes=3)
  task = tasks.image_classification(model, images, 16)
  variables = task.init(KEY)
  cut = removal.remove_filters('cut', {'params/conv2/.*': 0.5})
  _, task, variables, _ = factor(
    {'conv4/kernel': jc.tucker2(4, 5)}, task, variables
  )
  task, variables = cut.change(task, variables, KEY)
  _, task, variables, _ = factor(
    {'conv2/kernel': jc.separable(6)}, task, variables
  )
  assert [f['after'] for f in task.factored] == [0, 1]
  data = jax.tree.map(jc.encoded.Dense, variables)
  metadata = files.describe(task, 'family:row', 0)
  jc.save(tmp_path / 'model.jcz', data, metadata=metadata)
  found, held = files.load(tmp_path / 'model.jcz')
  assert found.factored == task.factored
  batch = task.test.get(0, 0, WHOLE)
  np.testing.assert_array_equal(
    found.predict(held, batch), task.predict(variables, batch)
  )
  assert held['params']['conv2']['kernel']['vertical']['kernel'].shape[-1] == 6

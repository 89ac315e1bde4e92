import jax
import jax.numpy as jnp
import numpy as np
import tiny

import jcompress as jc
from jcompress import models
from jcompress.experiments import factoring, files, removal, tasks
from jcompress.experiments.sources import WHOLE

KEY = jax.random.key(0)


def factor(plan, task=None, variables=None):
  task = task or tiny.task()
  variables = variables or task.init(KEY)
  change = factoring.factorize('factor', plan)
  return variables, *change.change(task, variables, KEY)


def low_rank_task(rank=2):
  """The small task, whose first kernel is near one of low rank."""
  task = tiny.task()
  variables = task.init(KEY)
  rng = np.random.RandomState(0)
  near = rng.randn(36, rank) @ rng.randn(rank, 16) + 1e-2 * rng.randn(36, 16)
  variables['params']['fc1']['kernel'] = jnp.float32(near)
  return task, variables


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


def test_ranks_by_a_rule_and_layers_that_stay_dense():
  found = low_rank_task()
  # Of 16 x 3 all energy is in three ranks, which do not pay.
  assert factoring.by_rule(0.999)(*found) == {'fc1/kernel': jc.svd(2)}
  plan = factoring.by_rule('evbmf', pattern='fc1/.*')(*found)
  assert plan == {'fc1/kernel': jc.svd(2)}


def test_convolutions_by_a_rule():
  model = models.build('lenet5', classes=3, features=(6, 8, 10))
  images = tiny.dataset()
  pad = lambda x: np.pad(x, ((0, 0), (10, 9), (12, 12), (0, 0)))
  data = images._replace(
    train_inputs=pad(images.train_inputs), test_inputs=pad(images.test_inputs)
  )
  task = tasks.image_classification(model, data, 16)
  variables = task.init(KEY)
  kernel = variables['params']['conv2']['kernel']
  rng = np.random.RandomState(0)
  core = rng.randn(5, 5, 2, 3)
  exact = np.einsum('hwab,ia,ob->hwio', core, rng.randn(6, 2), rng.randn(8, 3))
  assert exact.shape == kernel.shape
  variables['params']['conv2']['kernel'] = jnp.float32(exact)
  choose = lambda kind: factoring.by_rule(0.999999, kind, 'conv2/kernel')
  assert choose('tucker2')(task, variables) == {
    'conv2/kernel': jc.tucker2(2, 3)
  }
  assert choose('svd')(task, variables) == {'conv2/kernel': jc.svd(3)}
  plan = factoring.within(0.3, 'separable')(task, variables)
  found = jc.tree.split_all(list(plan), variables['params'])[0]
  cost = sum(
    m.cost(x.shape)
    for m, part in zip(plan.values(), found, strict=True)
    for x in jax.tree.leaves(part)
  )
  sizes = {'conv1': 150, 'conv2': 1200, 'fc1': 1280, 'fc2': 30}
  dense = sum(n for k, n in sizes.items() if f'{k}/kernel' not in plan)
  assert 0.25 * 2660 < cost + dense <= 0.3 * 2660
  assert plan['conv2/kernel'].name == 'separable'


def test_where_nothing_pays_the_network_is_handed_on_whole():
  task, variables = tiny.task(), tiny.task().init(KEY)
  change = factoring.factorize('factor', factoring.by_rule(1.0))
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

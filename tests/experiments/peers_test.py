import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import jcompress as jc
from jcompress.experiments import networks, peers, stages, tasks
from jcompress.experiments.helping import HELPERS, drop_helpers
from jcompress.experiments.recipe import Train

KEY = jax.random.key(0)


def init(key):
  keys = jax.random.split(key)
  a = jax.random.normal(keys[0], (36, 8)) / 6
  return {
    'a': {'kernel': a},
    'c': {'kernel': jax.random.normal(keys[1], (8, 3)), 'bias': jnp.zeros(3)},
  }


def apply(params, x):
  h = jax.nn.relu(x.reshape(len(x), -1) @ params['a']['kernel'])
  return h @ params['c']['kernel'] + params['c']['bias']


INPUTS = lambda batch: (tasks.pixels(batch['image']),)
SMALL = tasks.image_classification(
  networks.plain(init, apply, INPUTS), tiny.dataset(), 16
)
STUDENT = SMALL.init(KEY)
BATCH = jax.device_put(SMALL.train.get(0, 0, slice(None)))


def test_both_of_two_networks_learn_from_each_other():
  _, variables = peers.add_peer('add').change(SMALL, STUDENT, KEY)
  lesson = peers.mutual()(SMALL, STUDENT)

  def loss(params):
    return lesson.run(SMALL, None, {'params': params}, BATCH, KEY)[0]

  value, grad = jax.value_and_grad(loss)(variables['params'])
  peer = variables['params'][HELPERS]
  logits = [SMALL.predict(v, BATCH) for v in (STUDENT, {'params': peer})]
  want = jc.distill.mutual(jnp.stack(logits), BATCH['label']).sum()
  np.testing.assert_allclose(value, want, rtol=1e-5)
  assert grad['c']['bias'].any()
  assert grad[HELPERS]['c']['bias'].any()


def test_a_peer_that_learns_is_followed_but_not_moved_by_its_student():
  _, variables = peers.add_peer('add').change(SMALL, STUDENT, KEY)
  lesson = peers.taught_by_peer(1.0, 1.0, learns=True)(SMALL, STUDENT)

  def loss(params):
    return lesson.run(SMALL, None, {'params': params}, BATCH, KEY)[0]

  value, grad = jax.value_and_grad(loss)(variables['params'])
  peer = variables['params'][HELPERS]
  z, v = (SMALL.predict(x, BATCH) for x in (STUDENT, {'params': peer}))
  hard = lambda p: SMALL.loss(SMALL.predict({'params': p}, BATCH), BATCH)[0]
  want = jc.distill.soft_targets(z, v, 1.0) + hard(peer)
  np.testing.assert_allclose(value, want, rtol=1e-5)
  alone = jax.grad(hard)(peer)
  np.testing.assert_allclose(
    grad[HELPERS]['c']['bias'], alone['c']['bias'], rtol=1e-4
  )


def test_the_average_follows_the_network():
  tx = peers.averaging(optax.sgd(1.0), decay=0.75)
  params = {'w': jnp.array([2.0]), HELPERS: {'w': jnp.array([1.0])}}
  grads = {'w': jnp.array([-4.0]), HELPERS: {'w': jnp.array([9.0])}}
  updates, _ = tx.update(grads, tx.init(params), params)
  new = optax.apply_updates(params, updates)
  assert new['w'] == 6 and new[HELPERS]['w'] == 0.75 * 1 + 0.25 * 6


@pytest.mark.parametrize('kind', ['average', 'sampled'])
def test_a_network_is_trained_with_its_peer(kind, tmp_path):
  adam, is_average = optax.adam(1e-2), kind == 'average'
  other = peers.of_each(adam, jc.distill.sgld(1e-4, 64, KEY))
  stage = Train(
    'train',
    jc.identity(),
    peers.averaging(adam, 0.9) if is_average else other,
    4,
    peers.taught_by_peer(1.0, 0.5, learns=not is_average),
  )
  recipe = tiny.recipe_of(
    peers.add_peer('add', same=is_average),
    stage,
    drop_helpers('drop'),
    make_task=lambda: SMALL,
  )
  done = stages.run(recipe, tiny.config(), tmp_path)
  assert done.measured['drop']['error'] < 40
  assert done.variables['params'].keys() == {'a', 'c'}


def test_a_network_with_statistics_has_no_peer():
  own = {**STUDENT, 'batch_stats': {}}
  with pytest.raises(ValueError, match='batch_stats beside its params'):
    peers.add_peer('add').change(SMALL, own, KEY)

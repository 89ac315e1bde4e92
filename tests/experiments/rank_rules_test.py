import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

import jcompress as jc
from jcompress import models
from jcompress.experiments import rank_rules, tasks
from jcompress.experiments.factoring import factorize

KEY = jax.random.key(0)


def low_rank_task(rank=2):
  """The small task, whose first kernel is near one of low rank."""
  task = tiny.task()
  variables = task.init(KEY)
  rng = np.random.RandomState(0)
  near = rng.randn(36, rank) @ rng.randn(rank, 16) + 1e-2 * rng.randn(36, 16)
  variables['params']['fc1']['kernel'] = jnp.float32(near)
  return task, variables


def test_ranks_by_a_rule_and_layers_that_stay_dense():
  found = low_rank_task()
  # Of 16 x 3 all energy is in three ranks, which do not pay.
  assert rank_rules.by_rule(0.999)(*found) == {'fc1/kernel': jc.svd(2)}
  plan = rank_rules.by_rule('evbmf', pattern='fc1/.*')(*found)
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
  choose = lambda kind: rank_rules.by_rule(0.999999, kind, 'conv2/kernel')
  assert choose('tucker2')(task, variables) == {
    'conv2/kernel': jc.tucker2(2, 3)
  }
  assert choose('svd')(task, variables) == {'conv2/kernel': jc.svd(3)}
  plan = rank_rules.within(0.3, 'separable')(task, variables)
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


def convolutions():
  """A small task of two convolutions and two dense layers."""
  images = tiny.dataset()
  model = models.build('lenet5', classes=3, features=(6, 8, 10))
  pad = lambda x: np.pad(x, ((0, 0), (10, 9), (12, 12), (0, 0)))
  data = images._replace(
    train_inputs=pad(images.train_inputs), test_inputs=pad(images.test_inputs)
  )
  return tasks.image_classification(model, data, 16)


@pytest.mark.parametrize('kind', ['svd', 'separable', 'tucker2', 'canonical'])
def test_the_largest_ranks_of_a_share(kind):
  task = convolutions()
  variables = task.init(KEY)
  plan = rank_rules.of_share(0.5, kind, 'conv2/kernel|fc1/kernel')(
    task, variables
  )
  shapes = {'conv2/kernel': (5, 5, 6, 8), 'fc1/kernel': (128, 10)}
  assert [m.name for m in plan.values()] == [kind, 'svd']
  for path, method in plan.items():
    size = math.prod(shapes[path])
    assert method.cost(shapes[path]) <= size / 2
    if len(method.ranks) == 1:
      more = getattr(jc, method.name)(method.ranks[0] + 1)
      assert more.cost(shapes[path]) > size / 2
  # Below the share of a rank of one nothing is factored.
  none = rank_rules.of_share(0.01, kind, 'fc2/kernel')
  assert not none(task, variables)


def test_ranks_of_tucker2_are_as_the_channels():
  task = convolutions()
  plan = rank_rules.of_share(0.5, pattern='conv2/kernel')(task, task.init(KEY))
  # 25 a b + 6 a + 8 b of 1200 numbers.
  assert plan == {'conv2/kernel': jc.tucker2(4, 5)}
  rule = rank_rules.of_share(0.5, pattern='conv2/kernel', multiple=4)
  assert rule(task, task.init(KEY)) == {'conv2/kernel': jc.tucker2(4, 4)}
  rule = rank_rules.of_share(0.5, pattern='conv2/kernel', multiple=16)
  assert rule(task, task.init(KEY)) == plan
  with pytest.raises(ValueError, match='multiple is 0'):
    rank_rules.of_share(0.5, multiple=0)


def test_a_budget_by_responses_loses_less_of_them():
  task = tiny.task()
  variables = task.init(KEY)
  batch = rank_rules.sources.first(task.train, 64)
  moments = rank_rules.input_moments(task, variables, ['params/fc1/kernel'], 64)
  x = batch['image'].reshape(64, -1).astype(np.float32) / 255
  np.testing.assert_allclose(
    moments['params/fc1/kernel'][0], x.T @ x / 64, atol=1e-4
  )
  assert not rank_rules.input_moments(task, variables, ['params/fc1'], 0)
  rule = lambda **o: rank_rules.within(0.4, pattern='fc1/kernel', **o)
  wanted = task.predict(variables, batch)

  def error(count):
    change = factorize('factor', rule(examples=count), examples=count)
    small_task, small, _ = change.change(task, variables, KEY)
    return float(jnp.square(small_task.predict(small, batch) - wanted).sum())

  assert error(64) < 0.9 * error(0)
  with pytest.raises(ValueError, match='only svd answers'):
    rank_rules.within(0.4, 'separable', examples=8)


def test_a_pattern_of_no_kernel_is_refused():
  found = low_rank_task()
  for choose in (
    rank_rules.of_share(0.5, pattern='block.*/kernel'),
    rank_rules.within(0.5, pattern='.*/bias'),
    rank_rules.by_rule(0.9, pattern='none'),
  ):
    with pytest.raises(ValueError, match='matches no kernel .* fc1/bias'):
      choose(*found)

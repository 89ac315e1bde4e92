import jax
import numpy as np
import pytest
import tiny

from jcompress.experiments import removal
from jcompress.experiments.sources import WHOLE

KEY = jax.random.key(0)
GROUP = 'params/fc1/kernel:1'


def cut(change, task=None, variables=None):
  task = task or tiny.task()
  variables = variables or task.init(KEY)
  return variables, *change.change(task, variables, KEY)


def keep(units):
  return removal.remove('cut', lambda graph, task, variables: {GROUP: units})


def test_the_small_task_trains_and_predicts():
  before, task, small = cut(keep([1, 5, 6]))
  np.testing.assert_array_equal(
    small['params']['fc1']['kernel'],
    before['params']['fc1']['kernel'][:, [1, 5, 6]],
  )
  batch = task.train.get(0, 0, WHOLE)
  outputs, new = jax.jit(task.apply)(small, batch, KEY)
  assert outputs.shape == (16, 3)
  assert new['batch_stats']['norm']['mean'].shape == (3,)
  assert task.predict(small, batch).shape == (16, 3)


def test_a_file_says_enough_to_remove_them_again():
  _, task, small = cut(keep([1, 5, 6]))
  _, task, small = cut(keep([0, 2]), task, small)
  again = tiny.task()
  forms = jax.eval_shape(again.init, KEY)
  for removed in task.removed:
    again, forms = removal.without(again, forms, removed)
  assert jax.tree.map(np.shape, small) == jax.tree.map(np.shape, forms)
  batch = task.test.get(0, 0, WHOLE)
  np.testing.assert_array_equal(
    task.predict(small, batch), again.predict(small, batch)
  )
  assert again.removed == task.removed
  assert task.removed[0] == {
    GROUP: np.packbits([0, 1, 0, 0, 0, 1, 1] + 9 * [0]).tobytes()
  }


def test_channels_that_the_model_does_not_have():
  task = tiny.task()
  forms = jax.eval_shape(task.init, KEY)
  with pytest.raises(ValueError, match='channels of conv:3, .*fc1/kernel:1'):
    removal.without(task, forms, {'conv:3': b'\1'})


def test_filters_with_the_smallest_norms_go():
  variables = tiny.task().init(KEY)
  norms = np.abs(variables['params']['fc1']['kernel']).sum(0)
  _, _, small = cut(removal.remove_filters('cut', {GROUP: 0.75}))
  best = np.sort(np.argsort(norms)[-4:])
  np.testing.assert_array_equal(
    small['params']['fc1']['kernel'],
    variables['params']['fc1']['kernel'][:, best],
  )
  _, _, same = cut(removal.remove_filters('cut', 0.75))
  jax.tree.map(np.testing.assert_array_equal, small, same)


def test_units_of_zeros_go_and_one_is_left():
  variables = tiny.task().init(KEY)
  kernel = variables['params']['fc1']['kernel']
  for alive, left in ((range(3), 3), ((), 1)):
    mask = np.isin(np.arange(16), alive)
    variables['params']['fc1']['kernel'] = kernel * mask
    variables['params']['fc1']['bias'] = np.zeros(16, np.float32)
    _, _, small = cut(removal.remove_zeros('cut'), None, variables)
    assert small['params']['fc1']['kernel'].shape == (36, left)


def test_where_nothing_goes_the_network_is_handed_on_whole():
  task, variables = tiny.task(), tiny.task().init(KEY)
  for change in (
    removal.remove('cut', lambda *_: {}),
    removal.remove_zeros('cut'),
  ):
    same, found = change.change(task, variables, KEY)
    assert same is task and found is variables


def test_a_method_may_change_what_stays():
  def choose(graph, task, variables):
    doubled = jax.tree.map(lambda x: 2 * x, variables)
    return {GROUP: [0, 1]}, doubled

  before, _, small = cut(removal.remove('cut', choose))
  np.testing.assert_array_equal(
    small['params']['fc1']['kernel'],
    2 * before['params']['fc1']['kernel'][:, :2],
  )

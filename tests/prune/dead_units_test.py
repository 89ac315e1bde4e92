import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import models


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def dense_net(sizes, activation=jax.nn.relu):
  layers = [f'fc{i}' for i in range(1, len(sizes))]
  params = {
    name: {'kernel': normal(a, b, seed=a), 'bias': normal(b, seed=b)}
    for name, a, b in zip(layers, sizes, sizes[1:], strict=False)
  }

  @jax.jit
  def apply_fn(params, x):
    for name in layers[:-1]:
      x = activation(x @ params[name]['kernel'] + params[name]['bias'])
    return x @ params[layers[-1]]['kernel'] + params[layers[-1]]['bias']

  return layers, params, apply_fn


@pytest.mark.parametrize('activation', [jax.nn.relu, jnp.tanh, jax.nn.sigmoid])
def test_outputs_stay_when_constants_are_folded_and_units_removed(activation):
  layers, params, apply_fn = dense_net((5, 6, 4, 3), activation)
  params['fc1']['kernel'] = (
    params['fc1']['kernel'].at[:, jnp.array([1, 4])].set(0)
  )
  params['fc2']['kernel'] = params['fc2']['kernel'].at[2].set(0)
  x = normal(7, 5, seed=9)
  folded, keep = jc.fold_dead_units(params, layers, activation=activation)
  np.testing.assert_array_equal(keep['fc1/kernel:1'], [1, 0, 0, 1, 0, 1])
  assert list(keep) == ['fc1/kernel:1']
  want = apply_fn(params, x)
  np.testing.assert_allclose(apply_fn(folded, x), want, atol=1e-5)
  small, small_apply = jc.shrink(apply_fn, folded, keep, x)
  assert small['fc1']['kernel'].shape == (5, 3)
  np.testing.assert_allclose(jax.jit(small_apply)(small, x), want, atol=1e-5)


def test_death_spreads_in_both_directions():
  layers, params, apply_fn = dense_net((3, 4, 4, 2))
  # Unit 0 of fc1 feeds unit 0 of fc2 alone, and is all that feeds it.
  first, second = params['fc1']['kernel'], params['fc2']['kernel']
  second = second.at[0].set(0).at[:, 0].set(0).at[0, 0].set(1.0)
  params['fc2']['kernel'] = second
  x = normal(6, 3, seed=8)
  forward = params | {'fc1': params['fc1'] | {'kernel': first.at[:, 0].set(0)}}
  last = params['fc3']['kernel'].at[0].set(0)
  backward = params | {'fc3': params['fc3'] | {'kernel': last}}
  for pruned in (forward, backward):
    folded, keep = jc.fold_dead_units(pruned, layers)
    assert {k: v.tolist() for k, v in keep.items()} == {
      'fc1/kernel:1': [False, True, True, True],
      'fc2/kernel:1': [False, True, True, True],
    }
    np.testing.assert_allclose(
      apply_fn(folded, x), apply_fn(pruned, x), atol=1e-5
    )
    assert not folded['fc1']['kernel'][:, 0].any()
    assert folded['fc1']['bias'][0] == 0 == folded['fc2']['bias'][0]


def test_channels_behind_pools_and_a_flattening():
  model = models.LeNet5(features=(4, 6, 5))
  x = normal(2, 28, 28, 1)
  params = model.init(jax.random.key(0), x)['params']
  conv1, conv2 = (params[k]['kernel'] for k in ('conv1', 'conv2'))
  params['conv1']['kernel'] = conv1.at[..., :2].set(0)
  params['conv1']['bias'] = jnp.array([0.0, 0.5, 0.5, 0.5])
  params['conv2']['kernel'] = conv2.at[..., 1].set(0)
  params['conv2']['bias'] = jnp.linspace(-1.0, 1, 6)
  apply_fn = jax.jit(lambda p, x: model.apply({'params': p}, x))
  identity = lambda x: x
  folded, keep = jc.fold_dead_units(
    params, ['conv1', 'conv2', 'fc1'], activation=identity
  )
  # A constant before a convolution stays.
  np.testing.assert_array_equal(keep['conv1/kernel:3'], [0, 1, 1, 1])
  np.testing.assert_array_equal(keep['conv2/kernel:3'], [1, 0, 1, 1, 1, 1])
  want = apply_fn(params, x)
  np.testing.assert_allclose(apply_fn(folded, x), want, atol=1e-5)
  small, _ = jc.shrink(apply_fn, folded, keep, x)
  assert small['conv2']['kernel'].shape == (5, 5, 3, 5)
  assert small['fc1']['kernel'].shape == (80, 5)


def test_a_constant_stays_before_a_layer_without_a_bias():
  params = {
    'a': {'kernel': jnp.zeros((2, 2)), 'bias': jnp.array([1.0, -1.0])},
    'b': {'kernel': jnp.ones((2, 2))},
  }
  folded, keep = jc.fold_dead_units(params, ['a', 'b'])
  np.testing.assert_array_equal(keep['a/kernel:1'], [True, False])
  np.testing.assert_array_equal(folded['b']['kernel'], [[1, 1], [0, 0]])


def test_one_unit_of_a_dead_layer_is_kept_and_nothing_else_is_named():
  layers, params, apply_fn = dense_net((3, 4, 2))
  whole, keep = jc.fold_dead_units(params, layers)
  assert keep == {}
  jax.tree.map(np.testing.assert_array_equal, whole, params)
  params['fc1']['kernel'] = jnp.zeros((3, 4))
  folded, keep = jc.fold_dead_units(params, layers)
  np.testing.assert_array_equal(keep['fc1/kernel:1'], [1, 0, 0, 0])
  x = jnp.ones((1, 3))
  small, small_apply = jc.shrink(apply_fn, folded, keep, x)
  np.testing.assert_allclose(
    small_apply(small, x), apply_fn(params, x), atol=1e-5
  )


def test_half_precision_keeps_its_dtype():
  params = {
    'a': {'kernel': jnp.zeros((2, 2)), 'bias': jnp.ones(2)},
    'b': {'kernel': jnp.full((2, 1), 0.5), 'bias': jnp.ones(1)},
  }
  params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
  folded, _ = jc.fold_dead_units(params, ['a', 'b'])
  assert {x.dtype for x in jax.tree.leaves(folded)} == {jnp.dtype('bfloat16')}
  assert folded['b']['bias'] == 2


@pytest.mark.parametrize(
  ('layers', 'message'),
  [
    (['fc1'], 'at least two'),
    (['fc1', 'fc4'], 'no fc4/kernel'),
    (['fc1', 'fc3'], r'fc3/kernel has the shape \[5, 2\]'),
  ],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
  params = dense_net((3, 4, 5, 2))[1]
  with pytest.raises(ValueError, match=message):
    jc.fold_dead_units(params, layers)

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcompress as jc
from jcompress.distill.responses import outputs_and_features

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (12, 4))
TEACHER = {
  'fc1': {'kernel': jax.random.normal(KEY, (4, 16))},
  'fc2': {'kernel': jnp.ones((16, 3))},
}


def apply(params, x):
  return nn.relu(x @ params['fc1']['kernel']) @ params['fc2']['kernel']


def test_features_of_linen_by_path():
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.Conv(5, (3, 3), name='conv')(x))
      return nn.Dense(2, name='fc')(x.reshape(len(x), -1))

  x = jax.random.normal(KEY, (2, 4, 4, 3))
  params = jax.jit(Net().init)(KEY, x)['params']
  params['conv']['bias'] += 1
  run = lambda p, x: Net().apply({'params': p}, x)
  paths = ['conv/kernel', 'fc/kernel']
  both = jax.jit(lambda p: outputs_and_features(run, p, x, paths=paths))
  outputs, found = both(params)
  np.testing.assert_allclose(outputs, run(params, x), rtol=1e-5)
  _, state = Net().apply({'params': params}, x, capture_intermediates=True)
  conv = state['intermediates']['conv']['__call__'][0]
  np.testing.assert_allclose(found['conv/kernel'] + 1, conv, atol=1e-5)
  want = outputs - params['fc']['bias']
  np.testing.assert_allclose(found['fc/kernel'], want, atol=1e-5)


def test_features_of_a_plain_function_and_their_gradient():
  f = lambda p: jc.distill.features(apply, p, X, paths=['fc1/kernel'])
  found = f(TEACHER)
  assert found.keys() == {'fc1/kernel'}
  want = X @ TEACHER['fc1']['kernel']
  np.testing.assert_allclose(found['fc1/kernel'], want, rtol=1e-5)
  grad = jax.grad(lambda p: f(p)['fc1/kernel'].sum())(TEACHER)
  np.testing.assert_allclose(grad['fc1']['kernel'][:, 0], X.sum(0), rtol=1e-5)
  assert not grad['fc2']['kernel'].any()


def test_an_unknown_path_is_refused_with_those_that_there_are():
  with pytest.raises(ValueError, match=r'fc9.*fc1/kernel, fc2/kernel'):
    jc.distill.features(apply, TEACHER, X, paths=['fc9/kernel'])
  twice = lambda p, x: x @ p['w'] @ p['w']
  with pytest.raises(ValueError, match='2 times'):
    jc.distill.features(twice, {'w': jnp.eye(4)}, X, paths=['w'])


def test_features_of_nnx():
  model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
  graph, state = nnx.split(model)
  run = lambda s, x: nnx.merge(graph, s)(x)
  found = jc.distill.features(run, state, X, paths=['kernel'])
  np.testing.assert_allclose(found['kernel'], model(X), rtol=1e-5)

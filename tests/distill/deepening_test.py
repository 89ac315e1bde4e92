import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (4, 6, 6, 3))


class Net(nn.Module):
  """Convolutions and dense layers; deeper with one more of each."""

  deeper: bool = False
  activation: str = 'relu'

  @nn.compact
  def __call__(self, x):
    act = getattr(nn, self.activation)
    x = act(nn.Conv(4, (3, 3), name='a')(x))
    if self.deeper:
      x = act(nn.Conv(4, (3, 5), name='a2')(x))
    x = act(nn.Conv(5, (3, 3), name='b')(x))
    x = act(nn.Dense(7, name='c')(x.reshape(len(x), -1)))
    if self.deeper:
      x = act(nn.Dense(7, name='c2')(x))
    return nn.Dense(2, name='d')(x)


VARIABLES = jax.jit(Net().init)(KEY, X)
BEFORE = {'params/a2': 'params/b/kernel', 'params/c2': 'params/d/kernel'}
DEEP, DEEP_APPLY = jc.distill.deepen(
  Net().apply, VARIABLES, BEFORE, X, window=(3, 5)
)


def test_a_deeper_model_of_these_names_takes_the_params():
  got = jax.jit(Net(deeper=True).apply)(DEEP, X)
  np.testing.assert_allclose(got, Net().apply(VARIABLES, X), rtol=1e-5)
  got = jax.jit(DEEP_APPLY)(DEEP, X)
  np.testing.assert_allclose(got, Net().apply(VARIABLES, X), rtol=1e-5)
  shapes = jax.eval_shape(Net(deeper=True).init, KEY, X)
  jax.tree.map(
    lambda a, b: np.testing.assert_equal(a.shape, b.shape), DEEP, shapes
  )


def test_the_new_layers_are_identities_that_train():
  kernel = DEEP['params']['a2']['kernel']
  np.testing.assert_array_equal(kernel[1, 2], np.eye(4))
  assert np.abs(kernel).sum() == 4
  changed = jax.tree.map(lambda x: x + 0.1, DEEP)
  for f in (Net(deeper=True).apply, DEEP_APPLY):
    grad = jax.jit(jax.grad(lambda p, f=f: f(p, X).sum()))(changed)
    found = grad['params']['a2']['kernel'], grad['params']['c2']['kernel']
    assert all(g.any() for g in found)
  np.testing.assert_allclose(
    DEEP_APPLY(changed, X[:2]),
    Net(deeper=True).apply(changed, X[:2]),
    rtol=1e-4,
  )


def test_a_plain_function():
  f = lambda p, x: jax.nn.relu(x @ p['v']) @ p['w']
  params = {'v': jnp.ones((3, 4)), 'w': jnp.ones((4, 2))}
  deep, g = jc.distill.deepen(f, params, {'new': 'w'}, X[0, 0])
  assert deep.keys() == {'v', 'w', 'new'} and params.keys() == {'v', 'w'}
  np.testing.assert_allclose(g(deep, X[0, 0]), f(params, X[0, 0]), rtol=1e-6)


def test_what_is_not_rectified_is_refused():
  net = Net(activation='tanh')
  with pytest.raises(ValueError, match='behind relu, not tanh'):
    jc.distill.deepen(net.apply, VARIABLES, BEFORE, X)
  with pytest.raises(ValueError, match='not before the first'):
    jc.distill.deepen(
      Net().apply, VARIABLES, {'params/a0': 'params/a/kernel'}, X
    )


def test_a_batch_norm_can_be_the_identity():
  r = np.random.RandomState(0)
  w1, b1, _, x = (r.randn(*s) for s in ((3, 4), (4,), (4, 2), (5, 3)))
  h = jnp.asarray(np.maximum(x @ w1 + b1, 0), jnp.float32)
  norm = jc.distill.identity_norm(h)
  want = [1.71363, 0.988022, 0.932883, 2.092262]
  np.testing.assert_allclose(norm.scale, want, rtol=1e-5)
  want = [2.446994, 0.494008, 1.356051, 1.97421]
  np.testing.assert_allclose(norm.bias, want, rtol=1e-5)
  variables = {
    'params': {'scale': norm.scale, 'bias': norm.bias},
    'batch_stats': {'mean': norm.mean, 'var': norm.var},
  }
  got = nn.BatchNorm(True).apply(variables, h)
  np.testing.assert_allclose(got, h, atol=1e-5)


@pytest.mark.parametrize(
  'before, options, message',
  [
    ({'new': 'params/x/kernel'}, {}, 'No layer multiplies with'),
    ({'params/c': 'params/d/kernel'}, {}, "have 'params/c' already"),
    ({'p': 'params/d/kernel'}, {'window': (2, 3)}, 'both must be odd'),
    ({'p': 'params/d/kernel', 'q': 'params/d/kernel'}, {}, 'two layers'),
  ],
)
def test_what_cannot_be_put_is_refused(before, options, message):
  with pytest.raises(ValueError, match=message):
    jc.distill.deepen(Net().apply, VARIABLES, before, X, **options)


def test_a_look_up_has_no_layer_before_it():
  f = lambda p, i: p['table'][i] @ p['w']
  params = {'table': jnp.ones((5, 4)), 'w': jnp.ones((4, 2))}
  with pytest.raises(ValueError, match="of the kind 'embed'"):
    jc.distill.deepen(f, params, {'new': 'table'}, jnp.array([1, 2]))

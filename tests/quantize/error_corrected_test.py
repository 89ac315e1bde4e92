import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded

KEY = jax.random.key(0)


class Net(nn.Module):
  """A grouped convolution and dense layers."""

  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Conv(8, (3, 2), feature_group_count=2, name='conv')(x))
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(nn.Dense(24, name='hidden')(x))
    return nn.Dense(5, name='out')(x)


@functools.cache
def net():
  x = jax.random.normal(KEY, (60, 2, 3, 6))
  params = Net().init(jax.random.key(1), x)['params']
  return lambda p, x: Net().apply({'params': p}, x), params, x


@functools.cache
def fitted():
  apply_fn, params, x = net()
  comp = jc.error_corrected_pq(apply_fn, x, k=4, length=3)
  return comp, comp.init(params)


def output_error(apply_fn, params, x, encoded):
  read = jc.unpack(jc.pack(encoded)).tree
  difference = apply_fn(jc.decode(read), x) - apply_fn(params, x)
  return float(jnp.square(difference).mean())


def test_responses_are_closer_than_after_plain_quantization_at_equal_size():
  apply_fn, params, x = net()
  plain = jc.select(jc.KERNELS, jc.product_quantize(4, length=3, axis=-2))
  comp, start = fitted()
  trees = [plain.encode(*plain.init(params)), comp.encode(*start)]
  errors = [output_error(apply_fn, params, x, tree) for tree in trees]
  assert errors[1] < 0.5 * errors[0]
  forms = [jax.tree.map(jnp.shape, tree) for tree in trees]
  assert forms[0] == forms[1]


def test_without_sweeps_it_is_plain_product_quantization():
  apply_fn, params, x = net()
  plain = jc.select(jc.KERNELS, jc.product_quantize(4, length=3, axis=-2))
  fitted = jc.error_corrected_pq(apply_fn, x, k=4, length=3, sweeps=0)
  for a, b in zip(
    jax.tree.leaves(plain.init(params)),
    jax.tree.leaves(fitted.init(params)),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_later_layers_make_good_for_earlier_ones():
  apply_fn = lambda p, x: x @ p['a']['kernel'] @ p['b']['kernel']
  a = jnp.array([[1.0, 1.2], [1.0, 1.2]])
  params = {'a': {'kernel': a}, 'b': {'kernel': jnp.array([[1.0], [1.0]])}}
  x = jax.random.normal(KEY, (50, 2))
  comp = jc.error_corrected_pq(apply_fn, x, k=1, length=2)
  found = comp.view(*comp.init(params))
  # One codeword for both columns of a is 1.1, and 1.1 + 1.1 = 1 + 1.2.
  np.testing.assert_allclose(found['a']['kernel'], jnp.full((2, 2), 1.1), 1e-3)
  only = jc.error_corrected_pq(
    apply_fn, x, k=1, length=1, pattern='b/kernel', axis=0
  )
  half = dict(params, a={'kernel': 0.5 * a})
  from_half = jc.error_corrected_pq(apply_fn, x, k=1, length=2)
  np.testing.assert_allclose(
    apply_fn(from_half.view(*from_half.init(half)), x),
    apply_fn(half, x),
    atol=1e-3,
  )
  np.testing.assert_allclose(
    only.view(*only.init(params))['b']['kernel'], [[1.0], [1.0]], rtol=1e-3
  )


def test_other_leaves_are_shipped_as_they_are():
  apply_fn, params, x = net()
  comp = jc.error_corrected_pq(
    apply_fn, x, pattern='(conv|hidden)/kernel', k=4, length=3
  )
  tree = comp.encode(*comp.init(params))
  kinds = {
    name: type(tree[name]['kernel']) for name in ('conv', 'hidden', 'out')
  }
  assert kinds == {
    'conv': encoded.Product,
    'hidden': encoded.Product,
    'out': encoded.Dense,
  }
  np.testing.assert_array_equal(
    tree['hidden']['bias'].values, params['hidden']['bias']
  )


def test_codebooks_train_on():
  apply_fn, params, x = net()
  comp, (latent, state) = fitted()
  loss = jax.jit(
    lambda l: jnp.square(
      apply_fn(comp.view(l, state), x) - apply_fn(params, x)
    ).mean()
  )
  grads = jax.jit(jax.grad(loss))(latent)
  moved = jax.tree.map(lambda l, g: l - 0.01 * g, latent, grads)
  assert loss(moved) < loss(latent)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'inputs': jnp.ones((0, 2, 3, 6))}, r'shapes \[\(0, 2, 3, 6\)\]'),
    ({'inputs': jnp.full((1, 2, 3, 6), jnp.nan)}, 'NaN or inf'),
    ({'inputs': jnp.ones((3, 5, 5, 6))}, 'does not take'),
    ({'axis': -1}, 'axis is -1, and conv/kernel is summed over'),
    ({'pattern': '.*/bias'}, 'No layer multiplies|needs two axes'),
    ({'sweeps': -1}, 'sweeps=-1'),
    ({'ridge': -1.0}, 'ridge=-1'),
    ({'k': 0}, 'k is 0'),
  ],
)
def test_bad_input_is_refused(change, message):
  apply_fn, params, x = net()
  settings = {'inputs': x, 'k': 2, 'length': 3} | change
  with pytest.raises(ValueError, match=message):
    jc.error_corrected_pq(apply_fn, **settings).init(params)

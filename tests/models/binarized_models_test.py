import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.losses import signed_one_hot, squared_hinge
from jcompress.models.binarized import (
  BinarizedLeNet5,
  BinarizedMLP,
  BinarizedNet,
  BinarizedVGG,
)

DIGITS = jax.ShapeDtypeStruct((2, 28, 28, 1), jnp.float32)
PHOTOS = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
TINY = BinarizedNet(blocks=((3, 4), (5,)), features=(6,), classes=2)


def shapes(model, images):
  return jax.eval_shape(model.init, jax.random.key(0), images)


def kernels(model, params):
  matches = lambda path: re.fullmatch(model.binary_kernels, path)
  return [path for path in jc.tree.paths(params) if matches(path)]


@pytest.mark.parametrize(
  ('model', 'images', 'weights'),
  [
    (BinarizedMLP(), DIGITS, 10_014_720),
    (BinarizedMLP(features=(1024,) * 3), DIGITS, 2_910_208),
    (BinarizedMLP(features=(4096,) * 3), DIGITS, 36_806_656),
    (BinarizedLeNet5(), DIGITS, 430_500),
    (BinarizedVGG(), PHOTOS, 14_022_016),
  ],
)
def test_sizes_and_the_pattern_of_binary_kernels(model, images, weights):
  params = shapes(model, images)['params']
  chosen, rest = jc.tree.split(model.binary_kernels, params)
  assert sum(x.size for x in jax.tree.leaves(chosen)) == weights
  assert kernels(model, params) == [f'{name}/kernel' for name in model.layers]
  assert all('norm' in path for path in jc.tree.paths(rest))


def test_float_layers_are_left_out_of_the_pattern():
  params = shapes(TINY, PHOTOS)['params']
  first = TINY.clone(float_layers=('first',))
  both = TINY.clone(float_layers=('last', 'first'))
  names = ['conv1', 'conv2', 'conv3', 'fc1', 'fc2']
  assert kernels(first, params) == [f'{name}/kernel' for name in names[1:]]
  assert kernels(both, params) == [f'{name}/kernel' for name in names[1:-1]]
  glorot = jc.scale_by_glorot(both.binary_kernels)
  select = jc.select(both.binary_kernels, jc.binary_connect())
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape), params)
  glorot.init(select.init(zeros)[0])


def outputs(model, images, train=False):
  variables = jax.jit(model.init)(jax.random.key(0), images)
  run = jax.jit(
    lambda v, x: model.apply(
      v, x, train, capture_intermediates=True, mutable=True
    )
  )
  y, seen = run(variables, images)
  names = (*model.layers, *(n for n in variables['params'] if 'norm' in n))
  found = seen['intermediates']
  return y, {n: found[n]['__call__'][0] for n in names}, variables['params']


def test_layers_are_pooled_before_they_are_normalized_and_signed_after():
  images = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
  y, seen, params = outputs(TINY, images, True)
  pool = lambda x: x.reshape(2, 4, 2, 4, 2, 4).max((2, 4))
  assert seen['norm1'].shape == (2, 8, 8, 3)
  pooled = pool(seen['conv2'])
  want = (pooled - pooled.mean((0, 1, 2))) / jnp.sqrt(
    pooled.var((0, 1, 2)) + 1e-4
  )
  np.testing.assert_allclose(seen['norm2'], want, atol=1e-4)
  signs = jnp.where(seen['norm3'] >= 0, 1.0, -1.0).reshape(2, -1)
  want = signs @ params['fc1']['kernel']
  np.testing.assert_allclose(seen['fc1'], want, atol=1e-5)
  np.testing.assert_array_equal(y, seen['norm5'])


def test_a_float_last_layer_sees_a_rectifier_and_has_a_bias():
  model = TINY.clone(float_layers=('last',), output_norm=False)
  images = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
  y, seen, params = outputs(model, images)
  assert 'norm5' not in params and 'bias' in params['fc2']
  want = jnp.maximum(seen['norm4'], 0) @ params['fc2']['kernel']
  np.testing.assert_allclose(y, want, atol=1e-5)


def test_norms_before_a_half_wave_quantizer_have_no_scale():
  params = shapes(TINY.clone(activation='hwgq'), PHOTOS)['params']
  assert [n for n in params if 'norm' in n] == ['norm5']


def test_pixels_may_be_bytes():
  model = BinarizedMLP(features=(3,))
  images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
  y, *_ = outputs(model, images)
  same, *_ = outputs(model, images.astype(np.float32))
  np.testing.assert_array_equal(y, same)


@pytest.mark.parametrize(
  ('activation', 'norm', 'shifts'),
  [('sign', 'shift', False), ('stochastic_sign', 'batch', True)],
)
def test_a_binarized_network_learns(activation, norm, shifts):
  model = BinarizedMLP(
    features=(32,), classes=2, activation=activation, norm=norm, shifts=shifts
  )
  x = jax.random.normal(jax.random.key(0), (128, 16))
  targets = signed_one_hot((x[:, :8].sum(1) > 0).astype(int), 2)
  variables = jax.jit(model.init)(jax.random.key(1), x)
  compressor = jc.select(model.binary_kernels, jc.binary_connect())
  tx = optax.chain(optax.adam(3e-3), jc.scale_by_glorot(model.binary_kernels))

  def loss_fn(params, batch, variables, key):
    outputs, variables = model.apply(
      {'params': params, **variables},
      batch,
      True,
      mutable=['batch_stats'],
      rngs={'binarize': key},
    )
    return squared_hinge(outputs, targets), {}, variables

  step = jc.train_step(loss_fn, compressor, tx)
  ts = jc.init_train_state(
    compressor,
    tx,
    variables['params'],
    variables={'batch_stats': variables['batch_stats']},
    key=jax.random.key(2),
  )
  losses = []
  for _ in range(40):
    ts, metrics = step(ts, x)
    losses.append(float(metrics['loss']))
  assert np.mean(losses[-5:]) < 0.6 * losses[0]


def test_bad_settings_are_refused():
  with pytest.raises(ValueError, match=r"has \['middle'\]; it may have"):
    _ = TINY.clone(float_layers=('middle',)).binary_kernels
  with pytest.raises(ValueError, match='none is left to be binarized'):
    _ = BinarizedNet(float_layers=('first', 'last')).binary_kernels
  for norm, activation in (('layer', 'sign'), ('shift', 'hwgq')):
    with pytest.raises(ValueError, match=f"norm is '{norm}'; it must be"):
      shapes(TINY.clone(norm=norm, activation=activation), PHOTOS)

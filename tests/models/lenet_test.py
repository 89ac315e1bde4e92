import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import tree
from jcompress.models import lenet
from jcompress.models.lenet import LeNet5, LeNet300100

IMAGES = jnp.linspace(0, 1, 2 * 784).reshape(2, 28, 28, 1)
SIZES = [
  (LeNet300100, {'fc1': 235_500, 'fc2': 30_100, 'fc3': 1_010}),
  (LeNet5, {'conv1': 520, 'conv2': 25_050, 'fc1': 400_500, 'fc2': 5_010}),
]


def init(model, images=IMAGES):
  return model.init(jax.random.key(0), images)['params']


@pytest.mark.parametrize('model, sizes', SIZES)
def test_sizes_of_the_layers(model, sizes):
  count = lambda layer: sum(x.size for x in jax.tree.leaves(layer))
  params = init(model())
  assert {name: count(layer) for name, layer in params.items()} == sizes
  assert count(params) == {3: 266_610, 4: 431_080}[len(sizes)]


@pytest.mark.parametrize(
  'model, size',
  [
    (LeNet300100(features=(3, 2)), 784 * 3 + 3 + 3 * 2 + 2 + 2 * 10 + 10),
    (LeNet5(features=(2, 3, 4)), 52 + 2 * 25 * 3 + 3 + 48 * 4 + 4 + 50),
  ],
)
def test_narrower_networks(model, size):
  assert sum(x.size for x in jax.tree.leaves(init(model))) == size


@pytest.mark.parametrize('model, sizes', SIZES)
def test_the_pattern_matches_the_kernels_alone(model, sizes):
  names = tree.paths(init(model()))
  kernels = {name for name in names if re.fullmatch(tree.KERNELS, name)}
  assert kernels == {f'{layer}/kernel' for layer in sizes}
  assert set(names) - kernels == {f'{layer}/bias' for layer in sizes}


@pytest.mark.parametrize('model', [LeNet300100, LeNet5])
def test_classes_and_compute_dtype(model):
  model = model(classes=7, dtype=jnp.bfloat16)
  params = init(model)
  logits = model.apply({'params': params}, IMAGES)
  assert logits.shape == (2, 7) and logits.dtype == jnp.bfloat16
  assert {x.dtype for x in jax.tree.leaves(params)} == {jnp.dtype('float32')}


def test_rows_are_as_good_as_images():
  model = LeNet300100()
  params = init(model)
  rows = model.apply({'params': params}, IMAGES.reshape(2, 784))
  images = model.apply({'params': params}, IMAGES)
  np.testing.assert_array_equal(rows, images)


def test_dropout_acts_in_training_and_leaves_the_params_as_they_are():
  model, plain = LeNet300100(dropout=(0.5, 0.25)), LeNet300100()
  params = init(model)
  for a, b in zip(
    jax.tree.leaves(params), jax.tree.leaves(init(plain)), strict=True
  ):
    np.testing.assert_array_equal(a, b)
  want = plain.apply({'params': params}, IMAGES)
  np.testing.assert_array_equal(model.apply({'params': params}, IMAGES), want)
  same = plain.apply({'params': params}, IMAGES, train=True)
  np.testing.assert_array_equal(same, want)
  # A second layer of ones counts what the first dropped.
  ones = jax.tree.map(jnp.ones_like, params)
  _, seen = model.apply(
    {'params': ones},
    jnp.zeros((1, 784)),
    train=True,
    rngs={'dropout': jax.random.key(0)},
    capture_intermediates=True,
  )
  # Half of 300 units of 1 / (1 - 0.5) each, and the bias.
  summed = seen['intermediates']['fc2']['__call__'][0]
  assert 240 < summed[0, 0] < 360 and summed[0, 0] != 301


def test_no_rectifier_follows_the_convolutions_of_lenet5():
  model = LeNet5()
  params = init(model)
  shifted = jax.tree.map(jnp.zeros_like, params)
  shifted['conv1']['bias'] -= 1.0
  shifted['conv2']['kernel'] = params['conv2']['kernel']
  shifted['fc1']['kernel'] += 1.0
  _, seen = model.apply({'params': shifted}, IMAGES, capture_intermediates=True)
  outputs = seen['intermediates']
  want = -params['conv2']['kernel'].sum((0, 1, 2))
  got = outputs['conv2']['__call__'][0]
  np.testing.assert_allclose(got, jnp.broadcast_to(want, got.shape), rtol=1e-4)
  fc1 = outputs['fc1']['__call__'][0]
  np.testing.assert_allclose(fc1, 16 * want.sum(), rtol=1e-3, atol=1e-3)


def test_pools_keep_the_maximum_of_each_window():
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  np.testing.assert_array_equal(
    lenet.max_pool(x), nn.max_pool(x, (2, 2), (2, 2))
  )

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress import models
from jcompress.encoded import Dense, Quantized
from jcompress.experiments import data, tasks


@pytest.fixture(scope='module', autouse=True)
def all_optimizations():
  """Programs as users run them: products and sums may be fused."""
  jax.config.update('jax_disable_most_optimizations', False)
  yield
  jax.config.update('jax_disable_most_optimizations', True)


def affine(params, x):
  return params['kernel'] @ x + params['bias']


def test_the_worked_example():
  # By hand after Vanhoucke et al. 2011, with 1.27 / 127 = 0.01.
  w = jnp.array([[0.5, -1.27, 0.3], [0.02, 0.9, -0.4]])
  comp = jc.select('kernel', jc.linear_quantize(axis=None))
  params = {'kernel': w, 'bias': jnp.array([0.1, -0.2])}
  encoded = comp.encode(*comp.init(params))
  x = jnp.array([0.0, 0.5, 1.0])
  ranges = {'kernel': jc.ActivationRange(1.0)}
  y = jc.integer_model(affine, encoded, ranges, x)(x)
  np.testing.assert_allclose(y, [-0.237490, -0.148235], atol=5e-7)
  # The sums in int32, -8606 and 1320, times both scales.
  want = np.array([-8606, 1320]) * 0.01 / 255 + np.array([0.1, -0.2])
  np.testing.assert_allclose(y, want, rtol=1e-6)
  twin = jc.integer_model(affine, encoded, ranges, x, simulate=True)
  np.testing.assert_array_equal(twin(x), y)


def test_the_error_of_a_layer_is_within_half_a_step_of_each_factor():
  rng = np.random.default_rng(0)
  w = jnp.asarray(rng.standard_normal((30, 50)), jnp.float32)
  x = jnp.asarray(rng.random(50), jnp.float32)
  params = {'kernel': w, 'bias': jnp.zeros(30)}
  comp = jc.select('kernel', jc.linear_quantize(axis=0))
  encoded = comp.encode(*comp.init(params))
  ranges = {'kernel': jc.ActivationRange(1.0)}
  y = jc.integer_model(affine, encoded, ranges, x)(x)
  steps = encoded['kernel'].scale[:, 0], 1 / 255
  bound = steps[1] / 2 * jnp.abs(w).sum(1) + steps[0] / 2 * (x.sum() + 50 / 510)
  error = jnp.abs(y - affine(params, x))
  assert (error <= bound).all() and error.max() > 0.01 * bound.max()


@functools.cache
def trained(name):
  """A few steps on digits of MNIST, with 8-bit kernels in the loop."""
  images = data.load('mnist_5k')
  x, y = np.asarray(tasks.pixels(images.train_inputs)), images.train_labels
  model = models.build(name)
  apply_fn = lambda p, x: model.apply({'params': p}, x)

  def loss(params, batch):
    return optax.softmax_cross_entropy_with_integer_labels(
      apply_fn(params, batch[0]), batch[1]
    ).mean()

  comp, tx = jc.select(jc.KERNELS, jc.linear_quantize()), optax.adam(2e-3)
  step = jc.train_step(loss, comp, tx)
  params = jax.jit(model.init)(jax.random.key(0), x[:1])['params']
  ts = jc.init_train_state(comp, tx, params)
  for i in range(0, 800, 40):
    ts, _ = step(ts, (x[i : i + 40], y[i : i + 40]))
  view, encode = jax.jit(comp.view), jax.jit(comp.encode)
  ranges = jc.calibrate_layers(
    apply_fn, view(ts.latent, ts.state), [x[:100], x[100:200]]
  )
  encoded = encode(ts.latent, ts.state)
  test = np.asarray(tasks.pixels(images.test_inputs[:100]))
  return apply_fn, encoded, ranges, test


@pytest.mark.parametrize(
  'name', ['lenet_300_100', pytest.param('lenet5', marks=pytest.mark.slow)]
)
def test_a_network_in_integers_equals_its_twin_bit_for_bit(name):
  apply_fn, encoded, ranges, x = trained(name)
  assert len(ranges) == {'lenet_300_100': 3, 'lenet5': 4}[name]
  integer = jc.integer_model(apply_fn, encoded, ranges, x)
  twin = jc.integer_model(apply_fn, encoded, ranges, x, simulate=True)
  logits = np.asarray(jax.jit(integer)(x))
  np.testing.assert_array_equal(jax.jit(twin)(x), logits)
  plain = np.asarray(jax.jit(apply_fn)(jc.decode(encoded), x))
  assert (plain != logits).any()
  assert (plain.argmax(-1) == logits.argmax(-1)).mean() >= 0.97
  assert np.abs(plain - logits).max() < 0.1 * np.ptp(plain)


def test_jit_and_the_file_change_nothing():
  # Enough numbers for a fused product and sum to round some otherwise.
  rng = np.random.default_rng(0)
  params = {
    'kernel': jnp.asarray(rng.standard_normal((300, 40)), jnp.float32),
    'bias': jnp.asarray(rng.standard_normal((300, 1)), jnp.float32),
  }
  x = jnp.asarray(rng.random((40, 20)), jnp.float32)
  comp = jc.select('kernel', jc.linear_quantize(axis=0))
  encoded = comp.encode(*comp.init(params))
  read = jc.unpack(jc.pack(encoded)).tree
  ranges = {'kernel': jc.ActivationRange(1.0)}
  y = jc.integer_model(affine, encoded, ranges, x)(x)
  for tree, simulate in ((encoded, False), (encoded, True), (read, False)):
    run = jc.integer_model(affine, tree, ranges, x, simulate=simulate)
    np.testing.assert_array_equal(jax.jit(run)(x), y)


def test_a_network_equals_int64_arithmetic_of_numpy():
  apply_fn, encoded, ranges, x = trained('lenet_300_100')
  y = x.reshape(len(x), -1)
  for name in ('fc1', 'fc2', 'fc3'):
    kernel, grid = encoded[name]['kernel'], ranges[f'{name}/kernel']
    limit = np.float32(grid.limit)
    codes = np.clip(np.rint(y * (np.float32(255) / limit)), 0, 255)
    sums = codes.astype(np.int64) @ np.asarray(kernel.codes, np.int64)
    scale = limit * np.float32(1 / 255) * np.asarray(kernel.scale)
    y = sums.astype(np.float32) * scale + encoded[name]['bias'].values
    y = np.asarray(y if name == 'fc3' else np.maximum(y, 0))
  integer = jax.jit(jc.integer_model(apply_fn, encoded, ranges, x))
  np.testing.assert_array_equal(integer(x), y)


class Zoo(nn.Module):
  """One of each kind of layer."""

  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x, words):
    dtype = self.dtype
    x = nn.Conv(8, (3, 3), feature_group_count=2, dtype=dtype, name='a')(x)
    x = nn.Conv(8, (3, 2), feature_group_count=8, dtype=dtype, name='b')(x)
    x = nn.ConvTranspose(6, (3, 3), strides=(2, 2), dtype=dtype, name='c')(x)
    x = nn.ConvTranspose(
      5, (3, 2), transpose_kernel=True, dtype=dtype, name='d'
    )(x)
    x = nn.relu(x).reshape(x.shape[0], -1)
    x = nn.DenseGeneral((3, 4), dtype=dtype, name='e')(x)
    x = nn.Einsum((3, 4, 5), 'bhd,hdk->bhk', dtype=dtype, name='f')(x)
    x = nn.DenseGeneral(10, axis=(-2, -1), dtype=dtype, name='g')(x)
    embed = nn.Embed(7, 10, dtype=dtype, name='h')
    return embed.attend(x + embed(words))


@pytest.mark.parametrize(
  ('dtype', 'symmetric'), [('float32', False), ('bfloat16', True)]
)
def test_every_kind_of_layer(dtype, symmetric):
  rng = np.random.default_rng(0)
  random = lambda x: jnp.asarray(rng.standard_normal(x.shape) / 3, x.dtype)
  inputs = random(jnp.ones((2, 4, 4, 4))), jnp.array([3, 6])
  zoo = Zoo(dtype)
  shapes = jax.eval_shape(zoo.init, jax.random.key(0), *inputs)['params']
  params = jax.tree.map(random, shapes)
  apply_fn = lambda p, *xs: zoo.apply({'params': p}, *xs)
  axes = {
    l.path: l.out_axes for l in jc.layers.layers(apply_fn, params, *inputs)
  }
  comp = jc.partition(
    *(
      (re.escape(path), jc.linear_quantize(axis=a, symmetric=symmetric))
      for path, a in axes.items()
    )
  )
  encoded = jax.jit(lambda p: comp.encode(*comp.init(p)))(params)
  ranges = jc.calibrate_layers(apply_fn, params, [inputs])
  assert ranges.keys() == axes.keys() and len(axes) == 8
  run = lambda **options: jax.jit(
    jc.integer_model(apply_fn, encoded, ranges, *inputs, **options)
  )(*inputs)
  y, twin = run(), run(simulate=True)
  assert y.dtype == twin.dtype == jnp.dtype(dtype)
  np.testing.assert_array_equal(y, twin)
  plain = jax.jit(apply_fn)(params, *inputs).astype(jnp.float32)
  assert np.abs(plain - y.astype(jnp.float32)).max() < 0.1 * np.ptp(plain)


@pytest.mark.parametrize(
  ('size', 'bits', 'signed'),
  [(500, 8, False), (1000, 8, False), (20_000, 8, True)],
)
def test_sums_beyond_a_float_are_split_into_digits(size, bits, signed):
  rng = np.random.default_rng(0)
  codes = rng.integers(100, 128, (size, 3)).astype(np.int8)
  x = rng.uniform(-1 if signed else 0.5, 1, (2, size)).astype(np.float32)
  grid = jc.ActivationRange(1.0, bits, signed)
  want = np.rint(x * grid.steps).astype(np.int64) @ codes.astype(np.int64)
  assert size == 500 or signed or want.max() > 2**24
  encoded = {'w': Quantized(jnp.asarray(codes), jnp.float32(1))}
  apply_fn = lambda p, x: x @ p['w']
  for simulate in (False, True):
    run = jc.integer_model(apply_fn, encoded, {'w': grid}, x, simulate=simulate)
    scale = np.float32(1 / grid.steps)
    np.testing.assert_array_equal(run(x), want.astype(np.float32) * scale)


@pytest.mark.parametrize('simulate', [False, True])
def test_a_kernel_that_is_used_twice_is_summed_exactly_in_both_ways(simulate):
  rng = np.random.default_rng(0)
  codes = rng.integers(110, 128, (1000, 2)).astype(np.int8)
  encoded = {'w': Quantized(jnp.asarray(codes), jnp.float32(1))}
  apply_fn = lambda p, x, y: (x @ p['w'], y @ p['w'].T)
  inputs = (
    rng.uniform(0.9, 1, (3, 1000)).astype(np.float32),
    rng.uniform(0, 1, (3, 2)).astype(np.float32),
  )
  ranges = {'w': jc.ActivationRange(1.0)}
  run = jc.integer_model(apply_fn, encoded, ranges, *inputs, simulate=simulate)
  wide = codes.astype(np.int64)
  for got, x, w in zip(run(*inputs), inputs, (wide, wide.T), strict=True):
    sums = np.rint(x * np.float32(255)).astype(np.int64) @ w
    want = sums.astype(np.float32) * np.float32(1 / 255)
    np.testing.assert_array_equal(got, want)


def test_layers_without_a_range_are_computed_in_floats():
  params = {
    'a': Dense(jnp.eye(2) / 3),
    'b': Quantized(jnp.eye(2, dtype=jnp.int8), jnp.float32(0.7)),
  }
  apply_fn = lambda p, x: (x @ p['a']) @ p['b']
  x = jnp.array([[1.0, 0.25]])
  ranges = {'b': jc.ActivationRange(1.0, 2)}
  y = jc.integer_model(apply_fn, params, ranges, x)(x)
  np.testing.assert_allclose(y, [[0.7 / 3, 0]], rtol=1e-6)


def test_bad_encodings_and_ranges_are_refused():
  x = jnp.ones((1, 4))
  w = Quantized(jnp.ones((4, 3), jnp.int8), jnp.ones((1, 3)))
  grid = jc.ActivationRange(1.0)

  def build(leaf, ranges, **options):
    apply_fn = lambda p, x: x @ p['w'] + p['b']
    tree = {'w': leaf, 'b': Dense(jnp.zeros(3))}
    return jc.integer_model(apply_fn, tree, ranges, x, **options)

  build(w, {'w': grid})
  for ranges, name in (({'v': grid}, 'v'), ({'b': grid}, 'b'), ({}, 'no path')):
    with pytest.raises(ValueError, match=f'ranges has {name}.*layers, of: w'):
      build(w, ranges)
  with pytest.raises(ValueError, match='w is Dense'):
    build(Dense(jnp.ones((4, 3))), {'w': grid})
  tiles = Quantized(w.codes, jnp.ones((2, 3)), tile=(0, 2))
  with pytest.raises(ValueError, match='w is Quantized in tiles'):
    build(tiles, {'w': grid})
  rows = Quantized(w.codes, jnp.ones((4, 1)))
  with pytest.raises(ValueError, match=r'varies along \(0,\).*axis=\(1,\)'):
    build(rows, {'w': grid})
  large = Quantized(jnp.full((4, 3), 2**15 - 1, jnp.int16), jnp.float32(1))
  build(large, {'w': grid})
  for bad, message in (
    (jc.ActivationRange(0.0), 'limit is 0'),
    (jc.ActivationRange(1.0, 9), 'bits is 9'),
  ):
    with pytest.raises(ValueError, match=message):
      build(w, {'w': bad})
  with pytest.raises(ValueError, match='w is Dense'):
    build(jnp.ones((4, 3)), {'w': grid})


def test_sums_beyond_an_int32_are_refused():
  x = jax.ShapeDtypeStruct((1, 70_000), jnp.float32)
  tree = {'w': Quantized(np.full((70_000, 1), 127, np.int8), np.float32(1))}
  apply_fn = lambda p, x: x @ p['w']
  jc.integer_model(apply_fn, tree, {'w': jc.ActivationRange(1.0, 7)}, x)
  with pytest.raises(ValueError, match='sums of w may reach 8890000 times 255'):
    jc.integer_model(apply_fn, tree, {'w': jc.ActivationRange(1.0)}, x)

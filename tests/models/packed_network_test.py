import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.encoded import Dense, PackedSigns, Signs
from jcompress.models.binarized import BinarizedNet
from jcompress.models.packed_network import (
  PackedNetwork,
  jit_packed,
  pack_network,
)

MLP = BinarizedNet(features=(40, 37), classes=3)
CONV = BinarizedNet(blocks=((6, 5), (7,)), features=(33,), classes=3)
BYTES = np.random.default_rng(0).integers(0, 256, (9, 12, 12, 3), np.uint8)
PIXELS = {
  'unit': BYTES / np.float32(255),
  'symmetric': BYTES / np.float32(127.5) - 1,
}


def trained(model, compressor=None):
  """An encoded model, and statistics, both of random numbers."""
  variables = jax.eval_shape(model.init, jax.random.key(0), PIXELS['unit'])
  rng = np.random.default_rng(1)
  draw = lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32)
  params = jax.tree.map(draw, variables['params'])
  stats = jax.tree.map(
    lambda x: jnp.abs(draw(x)) + 0.1, variables['batch_stats']
  )
  compressor = jc.select(
    model.binary_kernels, compressor or jc.binary_connect()
  )
  return compressor.encode(*compressor.init(params)), stats


def float_outputs(model, encoded, stats, x):
  variables = {'params': jc.decode(encoded), 'batch_stats': stats}
  return jax.jit(model.apply)(variables, x)


def packed_outputs(network, x):
  return jit_packed()(network, x)


def require_same(model, encoded, stats, pixels):
  network = pack_network(model, encoded, stats, pixels=pixels)
  x = PIXELS[pixels or 'symmetric']
  want = float_outputs(model, encoded, stats, x)
  got = packed_outputs(network, BYTES if pixels else x)
  assert got.dtype == want.dtype and np.ptp(want) > 0.1
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
  return network


@pytest.mark.parametrize(
  ('model', 'pixels'),
  [
    (MLP, 'unit'),
    pytest.param(MLP, 'symmetric', marks=pytest.mark.slow),
    (MLP, None),
    pytest.param(CONV, 'unit', marks=pytest.mark.slow),
    (CONV, 'symmetric'),
    (CONV, None),
  ],
)
def test_outputs_are_those_of_the_float_model(model, pixels):
  network = require_same(model, *trained(model), pixels)
  packed = [isinstance(layer.weight, PackedSigns) for layer in network.layers]
  assert packed == [pixels is not None] + [True] * (len(packed) - 1)


@pytest.mark.parametrize(
  'model',
  [
    CONV.clone(activation='scaled_sign', float_layers=('first', 'last')),
    CONV.clone(activation='scaled_sign', padding=((1, 0), (0, 2))),
    CONV.clone(norm='shift', padding='VALID', output_norm=False),
    MLP.clone(activation='stochastic_sign', float_layers=('last',)),
    BinarizedNet(classes=3),
  ],
)
def test_every_kind_of_network_packs(model):
  pixels = None if 'first' in model.float_layers else 'symmetric'
  require_same(model, *trained(model, jc.binary_weight()), pixels)


def test_scales_below_and_at_zero_are_those_of_the_float_model():
  encoded, stats = trained(CONV, jc.binary_weight())
  for name in ('conv1', 'conv2', 'fc1', 'fc2'):
    kernel = encoded[name]['kernel']
    scale = kernel.scale.at[..., 0].set(0).at[..., 1].multiply(-1)
    encoded[name]['kernel'] = Signs(kernel.signs, scale)
  require_same(CONV, encoded, stats, 'unit')


def test_a_file_holds_all_that_is_packed():
  encoded, stats = trained(MLP, jc.loss_aware_binarize())
  tree = jc.unpack(jc.pack(encoded)).tree
  want = packed_outputs(pack_network(MLP, encoded, stats, pixels='unit'), BYTES)
  got = packed_outputs(pack_network(MLP, tree, stats, pixels='unit'), BYTES)
  np.testing.assert_array_equal(got, want)


def test_nothing_of_the_size_of_a_float_weight_is_formed():
  model = BinarizedNet(features=(512, 512), classes=2)
  network = pack_network(model, *trained(model), pixels='unit')
  form = jax.make_jaxpr(PackedNetwork.__call__)(network, BYTES[:1])
  sizes = [v.aval.size for e in form.jaxpr.eqns for v in e.outvars]
  assert max(sizes) < 512 * 512 / 8


def test_what_cannot_be_packed_is_refused():
  encoded, stats = trained(MLP)
  with pytest.raises(ValueError, match="'hwgq'; packed bits need one of"):
    pack_network(MLP.clone(activation='hwgq'), encoded, stats)
  with pytest.raises(ValueError, match="pixels is 'bytes'"):
    pack_network(MLP, encoded, stats, pixels='bytes')
  for name, pixels in (('fc1', 'unit'), ('fc2', None), ('fc3', None)):
    kernel = {'kernel': Dense(jc.decode(encoded[name]['kernel']))}
    with pytest.raises(ValueError, match=f'{name}/kernel has no signs'):
      pack_network(MLP, encoded | {name: kernel}, stats, pixels=pixels)


def test_floats_are_no_bytes():
  network = pack_network(MLP, *trained(MLP), pixels='unit')
  with pytest.raises(ValueError, match='x is float32: give uint8 exactly'):
    network(PIXELS['unit'])

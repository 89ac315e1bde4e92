import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

# Worked by hand after Vanhoucke et al. 2011.
W = jnp.array([[0.5, -1.27, 0.3], [0.02, 0.9, -0.4]])


def quantized(w, *arguments, **options):
  comp = jc.linear_quantize(*arguments, **options)
  return comp.encode(*comp.init(w))


def test_codes_of_the_worked_example():
  leaf = quantized(W, axis=None)
  np.testing.assert_allclose(leaf.scale, [[0.01]], rtol=1e-6)
  np.testing.assert_array_equal(leaf.codes, [[50, -127, 30], [2, 90, -40]])
  assert leaf.codes.dtype == jnp.int8 and leaf.zero is None


def test_each_index_of_the_axis_has_a_scale():
  np.testing.assert_allclose(
    quantized(W, axis=0).scale, np.array([[1.27], [0.9]]) / 127, rtol=1e-6
  )
  np.testing.assert_allclose(
    quantized(W).scale, np.array([[0.5, 1.27, 0.4]]) / 127, rtol=1e-6
  )
  w = jnp.stack([W, 2 * W])
  assert quantized(w, axis=(0, -1)).scale.shape == (2, 1, 3)
  np.testing.assert_array_equal(
    quantized(w, axis=(0, -1)).codes, jnp.stack([quantized(W).codes] * 2)
  )


@pytest.mark.parametrize('bits', range(2, 9))
@pytest.mark.parametrize('symmetric', [True, False])
def test_all_codes_are_used_and_the_least_integer_is_not(bits, symmetric):
  w = jnp.linspace(-1.0, 1.0, 4001)[:, None]
  codes = quantized(w, bits, symmetric=symmetric).codes
  most = 2 ** (bits - 1) - 1
  want = np.arange(-most, most + 1) if symmetric else np.arange(2**bits)
  np.testing.assert_array_equal(np.unique(codes), want)


def test_ternary_codes_are_two_bits():
  leaf = quantized(jnp.array([[1.0, 0.4, -0.6, -0.2]]), 2, axis=0)
  np.testing.assert_array_equal(leaf.codes, [[1, 0, -1, 0]])
  np.testing.assert_array_equal(leaf.decode(), [[1, 0, -1, 0]])


def test_an_affine_grid_spans_the_weights_and_holds_zero():
  w = jnp.array([[-1.0, 0.0, 0.25, 3.0]])
  leaf = quantized(w, 2, axis=0, symmetric=False)
  np.testing.assert_allclose(leaf.scale, [[4 / 3]], rtol=1e-6)
  assert leaf.zero == 1 and leaf.zero.dtype == leaf.codes.dtype == jnp.uint8
  np.testing.assert_array_equal(leaf.codes, [[0, 1, 1, 3]])
  np.testing.assert_allclose(leaf.decode(), [[-4 / 3, 0, 0, 8 / 3]], rtol=1e-6)


@pytest.mark.parametrize('sign', [1, -1])
def test_an_affine_grid_of_weights_of_one_sign_begins_at_zero(sign):
  w = sign * jnp.array([[0.5, 1.0, 2.0, 0.0]])
  leaf = quantized(w, symmetric=False, axis=0)
  assert leaf.zero == (0 if sign == 1 else 255)
  np.testing.assert_allclose(leaf.decode(), w, atol=2 / 255)
  assert leaf.decode()[0, 3] == 0


@pytest.mark.parametrize('bits', [2, 3, 8])
@pytest.mark.parametrize('symmetric', [True, False])
@pytest.mark.parametrize('axis', [None, 0, 1])
def test_the_error_is_at_most_half_a_step(bits, symmetric, axis):
  rng = np.random.default_rng(0)
  w = rng.standard_normal((70, 50)) * (rng.random((70, 50)) < 0.7)
  w = jnp.asarray(w * np.exp(rng.standard_normal(50)), jnp.float32)
  leaf = quantized(w, bits, axis=axis, symmetric=symmetric)
  error = jnp.abs(leaf.decode() - w)
  # The zero point of an affine grid moves its ends by up to half a step.
  assert (error <= (0.5 if symmetric else 1) * leaf.scale * (1 + 1e-5)).all()
  np.testing.assert_array_equal(leaf.decode()[w == 0], 0)


@pytest.mark.parametrize(('rows', 'tile'), [(96, 32), (70, 32), (5, 8)])
def test_tiles_have_scales_of_their_own(rows, tile):
  w = jax.random.normal(jax.random.key(0), (rows, 3))
  w *= jnp.exp(jnp.arange(rows) / 20)[:, None]
  leaf = quantized(w, 4, tile=tile)
  starts = range(0, rows, tile)
  largest = [np.abs(w[i : i + tile]).max(0) for i in starts]
  np.testing.assert_allclose(leaf.scale, np.array(largest) / 7, rtol=1e-6)
  parts = [quantized(w[i : i + tile], 4) for i in starts]
  np.testing.assert_array_equal(
    leaf.decode(), jnp.concatenate([p.decode() for p in parts])
  )


def test_tiles_of_a_convolution_run_along_its_input_channels():
  w = jax.random.normal(jax.random.key(0), (3, 3, 8, 5))
  leaf = quantized(w, tile=4)
  assert leaf.scale.shape == (1, 1, 2, 5) and leaf.tile == (2, 4)
  np.testing.assert_allclose(
    leaf.scale[0, 0, 1], jnp.abs(w[:, :, 4:]).max((0, 1, 2)) / 127, rtol=1e-6
  )


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize('symmetric', [True, False])
@pytest.mark.parametrize('tile', [None, 3])
def test_what_is_shipped_is_the_view_in_and_outside_of_jit(
  dtype, symmetric, tile
):
  w = jax.random.normal(jax.random.key(0), (8, 6)).astype(dtype)
  comp = jc.linear_quantize(5, symmetric=symmetric, tile=tile)
  latent, state = comp.init(w)
  decoded = comp.encode(latent, state).decode()
  assert decoded.dtype == dtype
  np.testing.assert_array_equal(decoded, comp.view(latent, state))
  np.testing.assert_array_equal(decoded, jax.jit(comp.view)(latent, state))
  np.testing.assert_array_equal(
    decoded, jax.jit(comp.encode)(latent, state).decode()
  )


@pytest.mark.parametrize(
  ('dtype', 'size'),
  [(jnp.float16, 6e-7), (jnp.bfloat16, 1e-35), (jnp.float32, 1e-35)],
)
def test_scales_of_tiny_weights_do_not_underflow(dtype, size):
  w = (size * jnp.array([[1.0, -0.4, 0.3]])).astype(dtype)
  leaf = quantized(w, axis=0)
  assert leaf.scale.dtype == jnp.float32 and leaf.scale > 0
  wide = np.asarray(w, np.float32)
  np.testing.assert_array_equal(leaf.codes, np.rint(wide / wide.max() * 127))


@pytest.mark.parametrize('symmetric', [True, False])
@pytest.mark.parametrize('calibration', ['absmax', 'percentile', 'mse'])
def test_a_group_of_zeros_has_scale_one(symmetric, calibration):
  w = jnp.array([[0.0, 1.0], [0.0, -2.0]])
  options = {'symmetric': symmetric, 'calibration': calibration}
  leaf = quantized(w, **options)
  assert leaf.scale[0, 0] == 1
  np.testing.assert_array_equal(leaf.decode()[:, 0], 0)
  assert quantized(jnp.zeros((0, 4)), **options).decode().shape == (0, 4)


def gradient(comp, w, state):
  return jax.grad(lambda l: comp.view(l, state).sum())(w)


def test_the_gradient_passes_everywhere_but_at_zeros():
  w = W.at[0, 2].set(0)
  comp = jc.linear_quantize(3)
  latent, state = comp.init(w)
  np.testing.assert_array_equal(gradient(comp, latent, state), w != 0)


@pytest.mark.parametrize('symmetric', [True, False])
def test_the_gradient_is_zero_outside_of_the_clip_and_one_on_it(symmetric):
  w = jnp.concatenate([jnp.arange(1.0, 20.0), jnp.array([400.0, -400.0])])
  options = {'calibration': 'percentile', 'percentile': 90.0}
  comp = jc.linear_quantize(8, axis=0, symmetric=symmetric, **options)
  latent, state = comp.init(w[None])
  view = comp.view(latent, state)[0]
  passed = gradient(comp, latent, state)[0] == 1
  if symmetric:  # two of 21 are clipped, at 19
    assert passed[:19].all() and not passed[19:].any()
    np.testing.assert_allclose(view[18:], [19, 19, -19], rtol=1e-6)
  else:  # two of 20 on the one side, none of one on the other
    np.testing.assert_array_equal(passed[16:], [1, 1, 0, 0, 1])
    np.testing.assert_allclose(view[17:20], [18, 18, 18], atol=2)


def test_shares_are_found_anew_and_the_scale_follows_in_between():
  w = jax.random.normal(jax.random.key(0), (300, 2))
  options = {'calibration': 'percentile', 'percentile': 95.0}
  comp = jc.linear_quantize(4, every=3, **options)
  latent, state = comp.init(w)
  before = state.shares[0]
  latent, state = comp.update(latent, state, latent)  # the first call
  np.testing.assert_array_equal(state.shares[0], before)
  latent = latent.at[0].multiply(100)
  for call in range(2, 5):
    _, state = comp.update(latent, state, latent)
    same = (state.shares[0] == before).all()
    assert same == (call < 4)
  w = jnp.abs(latent)
  np.testing.assert_allclose(
    comp.encode(latent, state).scale[0] * 7, jnp.sort(w, 0)[-16], rtol=1e-5
  )


def test_zeros_stay_zero_under_momentum_and_decay():
  w = jax.random.normal(jax.random.key(0), (20, 30))
  w = jnp.where(jnp.abs(w) < 0.5, 0, w)
  comp, tx = jc.linear_quantize(4), optax.adamw(0.1, weight_decay=0.1)
  latent, state = comp.init(w)
  opt_state = tx.init(latent)
  for _ in range(5):
    loss = lambda l: ((comp.view(l, state) - 1) ** 2).sum()
    updates, opt_state = tx.update(jax.grad(loss)(latent), opt_state, latent)
    latent = optax.apply_updates(latent, updates)
  leaf = comp.encode(latent, state)
  np.testing.assert_array_equal(leaf.codes[w == 0], 0)
  assert (comp.view(latent, state) != comp.view(*comp.init(w))).any()


def test_pruned_and_quantized_weights_make_a_small_file():
  w = jax.random.normal(jax.random.key(0), (200, 100))
  comp = jc.chain(jc.magnitude_prune(0.9), jc.linear_quantize(4))
  latent, state = comp.init({'w': w})
  latent, state = comp.update(latent, state, {'w': w})
  leaf = comp.encode(latent, state)['w']
  assert np.count_nonzero(leaf.codes) <= 2000
  assert len(jc.pack({'w': leaf})) < 1.05 * leaf.bits() / 8 + 64


class Zoo(nn.Module):
  """One of each kind of layer."""

  @nn.compact
  def __call__(self, x, words):
    x = nn.Conv(8, (3, 3), feature_group_count=2, name='grouped')(x)
    x = nn.Conv(8, (3, 2), feature_group_count=8, name='depthwise')(x)
    x = nn.ConvTranspose(6, (3, 3), strides=(2, 2), name='up')(x)
    x = nn.ConvTranspose(5, (3, 2), transpose_kernel=True, name='flipped')(x)
    x = nn.relu(x).reshape(x.shape[0], -1)
    x = nn.Dense(12, name='dense')(x)
    x = nn.DenseGeneral((3, 4), name='heads')(x)
    x = nn.Einsum((3, 4, 5), 'bhd,hdk->bhk', name='einsum')(x)
    x = nn.DenseGeneral(10, axis=(-2, -1), name='merge')(x)
    return x + nn.Embed(7, 10, name='embed')(words)


AXES = {  # of which each index has a scale
  'grouped/kernel': (3,),
  'depthwise/kernel': (3,),
  'up/kernel': (3,),
  'flipped/kernel': (2,),
  'dense/kernel': (1,),
  'heads/kernel': (1, 2),
  'einsum/kernel': (0, 2),
  'merge/kernel': (2,),
  'embed/embedding': (0,),
}


def test_every_output_unit_of_every_kind_of_layer_has_a_scale():
  inputs = jnp.ones((2, 4, 4, 4)), jnp.array([3, 6])
  shapes = jax.eval_shape(Zoo().init, jax.random.key(0), *inputs)['params']
  rng = np.random.default_rng(0)
  random = lambda x: jnp.asarray(rng.standard_normal(x.shape), x.dtype)
  params = jax.tree.map(random, shapes)
  apply_fn = lambda p, *xs: Zoo().apply({'params': p}, *xs)
  found = jc.layers.layers(apply_fn, params, *inputs)
  comp = jc.partition(
    *(
      (re.escape(l.path), jc.linear_quantize(8, axis=l.out_axes)) for l in found
    )
  )
  encoded = jax.jit(lambda p: comp.encode(*comp.init(p)))(params)
  assert {l.path for l in found} == AXES.keys()
  for path, axes in AXES.items():
    layer, name = path.split('/')
    leaf, w = encoded[layer][name], params[layer][name]
    others = tuple(i for i in range(w.ndim) if i not in axes)
    assert leaf.scale.size == math.prod(w.shape[a] for a in axes)
    np.testing.assert_allclose(
      leaf.scale, jnp.abs(w).max(others, keepdims=True) / 127, rtol=1e-6
    )
  assert isinstance(encoded['dense']['bias'], jc.encoded.Dense)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 1}, 'bits is 1'),
    ({'bits': 9}, 'bits is 9'),
    ({'bits': True}, 'bits is True'),
    ({'axis': ()}, r'axis is \(\)'),
    ({'tile': 1}, 'tile is 1'),
    ({'tile': 4, 'axis': None}, 'tile is 4 and axis None'),
    ({'calibration': 'max'}, "calibration is 'max'"),
    ({'percentile': 50}, 'percentile is 50'),
    ({'percentile': 100.1}, 'percentile is 100.1'),
    ({'every': 0}, 'every is 0'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.linear_quantize(**arguments)


@pytest.mark.parametrize(
  ('axis', 'shape', 'message'),
  [
    (2, (3, 4), r'axis=2 is not an axis of a weight \[3, 4\]'),
    (-3, (3, 4), r'axis=-3 is not an axis of a weight \[3, 4\]'),
    ((1, -1), (3, 4), r'names an axis of \[3, 4\] twice'),
    (-1, (4,), r'no axis of a weight \[4\]'),
    ((0, 1), (3, 4), r'no axis of a weight \[3, 4\]'),
    (-1, (), r'not an axis of a weight \[\]'),
  ],
)
@pytest.mark.parametrize('calibration', ['absmax', 'mse'])
def test_axes_that_a_weight_does_not_have_are_refused(
  axis, shape, message, calibration
):
  comp = jc.linear_quantize(axis=axis, calibration=calibration)
  with pytest.raises(ValueError, match=message):
    comp.init(jnp.ones(shape))


@pytest.mark.parametrize('symmetric', [True, False])
def test_narrow_scales_are_exact_to_all_who_use_them(symmetric):
  w = jax.random.normal(jax.random.key(3), (256, 48)) * jnp.geomspace(
    1e-3, 1e3, 48
  )
  wide, narrow = (
    jc.linear_quantize(4, tile=32, symmetric=symmetric, scale_dtype=dtype)
    for dtype in ('float32', 'bfloat16')
  )
  leaf, state = narrow.encode(*narrow.init(w)), narrow.init(w)
  assert leaf.scale.dtype == jnp.bfloat16 and leaf.scale.shape == (8, 48)
  np.testing.assert_array_equal(leaf.decode(), jax.jit(narrow.view)(*state))
  full = wide.encode(*wide.init(w))
  np.testing.assert_array_equal(leaf.scale, full.scale.astype(jnp.bfloat16))
  errors = [jnp.sum((x.decode() - w)[:, :9] ** 2) for x in (leaf, full)]
  assert errors[0] < 1.02 * errors[1]
  assert len(jc.pack(leaf)) < len(jc.pack(full)) - 1.5 * leaf.scale.size


@pytest.mark.parametrize('size', [1e-44, 1e-38, 3.4e38])
def test_narrow_scales_at_the_ends_of_the_range_stay_finite(size):
  w = jnp.array([[size], [-size], [0]], jnp.float32)
  leaf = quantized(w, 2, scale_dtype='bfloat16')
  assert jnp.isfinite(leaf.decode()).all() and leaf.decode()[2] == 0


def test_a_scale_dtype_that_is_not_known():
  with pytest.raises(ValueError, match='scale_dtype is .float16.; it must be'):
    jc.linear_quantize(scale_dtype='float16')

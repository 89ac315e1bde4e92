import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jcompress as jc
from jcompress.quantize.vector_kmeans import vector_kmeans

W = jax.random.normal(jax.random.key(0), (10, 7))


def test_each_block_has_the_codebook_that_kmeans_finds_for_it():
  comp = jc.product_quantize(3, length=4, axis=0, seed=5)
  centers, state = comp.init(W)
  assert centers.shape == (1, 3, 3, 4) and state.codes.shape == (1, 7, 3)
  rows = jnp.pad(W, ((0, 2), (0, 0))).reshape(3, 4, 7)
  want = vector_kmeans(jnp.swapaxes(rows, 1, 2), 3, seed=5)
  np.testing.assert_array_equal(centers[0], want.centers)
  np.testing.assert_array_equal(state.codes[0].T, want.codes)
  error = np.square(comp.view(centers, state) - W).sum()
  np.testing.assert_allclose(error, want.distortion.sum(), rtol=1e-5)


@pytest.mark.parametrize(('axis', 'length'), [(0, 1), (1, 4), (-2, 20)])
def test_a_codeword_for_each_vector_is_exact(axis, length):
  comp = jc.product_quantize(10, length=length, axis=axis)
  np.testing.assert_array_equal(comp.view(*comp.init(W)), W)


def test_input_channels_of_a_kernel_share_codebooks_over_positions():
  w = jax.random.normal(jax.random.key(0), (2, 2, 5, 3))
  comp = jc.product_quantize(12, length=3, axis=2)
  centers, state = comp.init(w)
  assert centers.shape == (1, 2, 12, 3) and state.codes.shape == (1, 2, 2, 3, 2)
  np.testing.assert_array_equal(comp.view(centers, state), w)
  x = jax.random.normal(jax.random.key(1), (1, 4, 4, 5))
  want = jax.lax.conv_general_dilated(
    x, w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  got = comp.encode(centers, state).conv(x, padding='SAME')
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_negative_axes_count_from_the_end():
  one, other = (jc.product_quantize(3, axis=axis) for axis in (1, -1))
  a, b = one.init(W), other.init(W)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    np.testing.assert_array_equal(x, y)
  assert other.encode(*b).axis == 1 and other.encode(*b).shape == W.shape


def test_gradients_are_sums_over_the_members():
  comp = jc.product_quantize(3, length=4, axis=0)
  centers, state = comp.init(W)
  grad = jax.random.normal(jax.random.key(1), W.shape)
  got = jax.grad(lambda c: jnp.vdot(comp.view(c, state), grad))(centers)
  want, padded = np.zeros(centers.shape), np.pad(grad, ((0, 2), (0, 0)))
  for column in range(7):
    for b in range(3):
      code = state.codes[0, column, b]
      want[0, b, code] += padded[4 * b : 4 * b + 4, column]
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_gradients_of_half_precision_are_summed_in_float32():
  w = jnp.ones((1, 600), jnp.bfloat16)
  comp = jc.product_quantize(1, length=1)
  centers, state = comp.init(w)
  grad = jax.grad(lambda c: comp.view(c, state).astype(jnp.float32).sum())(
    centers
  )
  # A sum in bfloat16 would stop at 256.
  assert grad.dtype == jnp.bfloat16
  np.testing.assert_allclose(grad.astype(jnp.float32).ravel(), 600, rtol=0.01)


def test_traced_init_equals_the_concrete_one():
  comp = jc.product_quantize(3, length=4, axis=0, seed=5)
  pairs = zip(
    jax.tree.leaves(comp.init(W)),
    jax.tree.leaves(jax.jit(comp.init)(W)),
    strict=True,
  )
  for a, b in pairs:
    np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize('kind', [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize('axis', [0, 1])
def test_codes_are_sharded_as_the_weight_along_the_other_axis(kind, axis):
  mesh = jax.make_mesh((4, 2), ('a', 'b'), axis_types=(kind, kind))
  w = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
  spread = jax.device_put(w, NamedSharding(mesh, PartitionSpec('a', 'b')))
  comp = jc.product_quantize(3, length=3, axis=axis)
  centers, state = comp.init(spread)
  other = 'ba'[axis]
  assert state.codes.sharding.spec[1] == other
  loss = lambda c, s, w: ((comp.view(c, s) - w) ** 2).sum()
  grad = jax.jit(jax.grad(loss))(centers, state, spread)
  view = jax.jit(comp.view)(centers, state)
  assert view.sharding.spec[1 - axis] == other
  want = comp.init(jnp.asarray(w))
  np.testing.assert_array_equal(view, comp.view(*want))
  np.testing.assert_allclose(
    grad, jax.grad(loss)(*want, w), rtol=1e-5, atol=1e-5
  )


def test_the_file_holds_codebooks_and_codes():
  comp = jc.product_quantize(16, length=4, axis=0)
  w = jax.random.normal(jax.random.key(0), (64, 300))
  latent, state = comp.init(w)
  encoded = comp.encode(latent, state)
  data = jc.pack(encoded)
  read = jc.unpack(data).tree
  np.testing.assert_array_equal(jc.decode(read), comp.view(latent, state))
  assert len(data) * 8 <= 32 * 16 * 64 + 16 * 300 * 4 + 8 * 200


def test_arguments_reach_kmeans():
  few = jc.product_quantize(3, length=4, seed=1, iterations=0).init(W)[0]
  rows = jnp.swapaxes(jnp.pad(W, ((0, 2), (0, 0))).reshape(3, 4, 7), 1, 2)
  want = vector_kmeans(rows, 3, seed=1, iterations=0).centers
  np.testing.assert_array_equal(few[0], want)


@pytest.mark.parametrize('shape', [(), (5,)])
def test_weights_without_vectors_are_refused(shape):
  with pytest.raises(ValueError, match='needs two axes'):
    jc.product_quantize(2).init({'bias': jnp.ones(shape)})


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'k': 0}, 'k is 0'),
    ({'k': 65537}, 'k is 65537'),
    ({'length': 0}, 'length is 0'),
    ({'iterations': -1}, 'iterations is -1'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.product_quantize(**arguments)


@pytest.mark.parametrize('axis', [2, -3])
def test_an_axis_that_is_not_there_is_refused(axis):
  with pytest.raises(ValueError, match=f'axis is {axis}; a weight'):
    jc.product_quantize(2, axis=axis).init(W)

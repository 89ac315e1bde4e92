import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import ops
from jcompress.models import DoubleConv, GroupConv, OrbitNorm

RNG = np.random.RandomState(0)
X, K, K2 = (
  jnp.float32(RNG.randn(*s)) for s in ((7, 7, 2), (3, 3, 2, 3), (3, 3, 4, 3, 2))
)
META = jnp.float32(np.random.RandomState(5).randn(4, 4, 2, 3))


def apply(layer, kernel, x):
  return layer.apply({'params': {'kernel': kernel}}, x[None])[0]


def two_layers(x, strides=1):
  lift, inner = GroupConv(3, strides=strides), GroupConv(2, inputs=True)
  f = apply(lift, K, x)
  return f, apply(inner, K2.reshape(3, 3, 12, 2), jax.nn.relu(f))


def act(f):
  """Turns maps, and moves each to the next copy."""
  parts = f.reshape(*f.shape[:2], 4, -1)
  return jnp.roll(jnp.rot90(parts), 1, 2).reshape(f.shape)


def test_known_answers():
  f, g = two_layers(X)
  np.testing.assert_allclose(f.sum(), -43.334439, rtol=1e-5)
  np.testing.assert_allclose(g.sum(), -7056.429289, rtol=1e-5)
  of_first = f[3, 3].reshape(4, 3)[:, 0]
  np.testing.assert_allclose(
    of_first, [6.77227, -7.24107, 0.811803, 0.867275], rtol=1e-5
  )
  of_first = g[3, 3].reshape(4, 2)[:, 0]
  np.testing.assert_allclose(
    of_first, [-24.546072, -39.133808, -41.784271, -43.804026], rtol=1e-5
  )
  mirrors = apply(GroupConv(3, 'p4m'), K, X)
  np.testing.assert_allclose(mirrors.sum(), -86.668878, rtol=1e-5)


def test_outputs_turn_with_the_image():
  before, after = two_layers(X), two_layers(jnp.rot90(X))
  for f, g in zip(before, after, strict=True):
    np.testing.assert_allclose(g, act(f), atol=1e-4)
    assert np.abs(g - jnp.rot90(f)).max() > 10  # the roll forgotten
  (f, _), (g, _) = before, after
  pooled = ops.group_pool(g, 4).max((0, 1)), ops.group_pool(f, 4).max((0, 1))
  np.testing.assert_allclose(*pooled, atol=1e-5)


def test_strides_need_odd_sizes():
  (f, _), (g, _) = two_layers(X, 2), two_layers(jnp.rot90(X), 2)
  np.testing.assert_allclose(g, act(f), atol=1e-4)
  even = jnp.float32(np.random.RandomState(1).randn(8, 8, 2))
  (f, _), (g, _) = two_layers(even, 2), two_layers(jnp.rot90(even), 2)
  assert np.abs(g - act(f)).max() > 10


def test_all_copies_have_one_norm():
  norm = OrbitNorm(use_running_average=False, copies=4)
  x = act(two_layers(X)[0])[None]
  y, new = norm.init_with_output(jax.random.key(0), x)
  shapes = {a.shape for a in jax.tree.leaves(new)}
  assert shapes == {(3,)}
  parts = np.asarray(x).reshape(-1, 3)
  want = (x.reshape(-1, 3) - parts.mean(0)) / np.sqrt(parts.var(0) + 1e-5)
  np.testing.assert_allclose(y.reshape(-1, 3), want, atol=1e-4)
  turned = act(x[0])[None]
  np.testing.assert_allclose(
    norm.apply(new, turned, mutable=True)[0][0], act(y[0]), atol=1e-4
  )


def test_windows_of_larger_filters():
  y = apply(DoubleConv(3, padding='VALID'), META, X)
  assert y.shape == (5, 5, 12)
  np.testing.assert_allclose(y.sum(), -165.637465, rtol=1e-5)
  pooled = apply(DoubleConv(3, pool=True, padding='VALID'), META, X)
  np.testing.assert_allclose(pooled.sum(), 271.291682, rtol=1e-5)
  assert pooled.shape == (5, 5, 3)
  plain = apply(DoubleConv(3, meta=3), K, X)
  whole = jax.lax.conv_general_dilated(
    X[None], K, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  np.testing.assert_allclose(plain, whole[0], atol=1e-5)


@pytest.mark.parametrize('layer', [GroupConv(64), DoubleConv(64, meta=6)])
def test_the_variance_is_two_over_the_inputs_of_a_window(layer):
  x = jnp.zeros((1, 7, 7, 16))
  kernel = layer.init(jax.random.key(0), x)['params']['kernel']
  np.testing.assert_allclose(kernel.std(), (2 / (9 * 16)) ** 0.5, rtol=0.03)
  half = layer.clone(dtype=jnp.bfloat16)
  form = jax.eval_shape(half.apply, {'params': {'kernel': kernel}}, x)
  assert form.dtype == jnp.bfloat16


def test_what_cannot_be_built():
  shapes = lambda layer: jax.eval_shape(layer.init, jax.random.key(0), X[None])
  with pytest.raises(ValueError, match="group is 'p6'"):
    shapes(GroupConv(3, 'p6'))
  with pytest.raises(ValueError, match='does not expand'):
    shapes(GroupConv(3, inputs=True))
  with pytest.raises(ValueError, match='at least the window, 3'):
    shapes(DoubleConv(3, meta=2))

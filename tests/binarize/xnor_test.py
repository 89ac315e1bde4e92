import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import ops
from jcompress.binarize.xnor import k_map

W = jnp.array([[0.3, -0.7, 0.05, -0.15, 1.2, -0.1]]).T  # one filter
G = jnp.array([[1.0, -2, 0.5, 0, 3, -1]]).T
SIGNS = np.array([[1, -1, 1, -1, 1, -1]]).T


def pulled(gradient, w=W, scope='filter'):
  comp = jc.binary_weight(scope, gradient=gradient)
  latent, state = comp.init(w)
  return jax.grad(lambda l: jnp.vdot(comp.view(l, state), G))(latent).ravel()


def test_scale_is_the_mean_magnitude_and_fits_best():
  comp = jc.binary_weight()
  view = comp.view(*comp.init(W))
  np.testing.assert_allclose(view, 0.4166667 * SIGNS, rtol=1e-6)
  np.testing.assert_allclose(((W - view) ** 2).sum(), 1.0133333, rtol=1e-6)


def test_gradients_of_the_three_rules():
  exact = [1.666667, -2.083333, 1.458333, -1.25, 1.25, -1.666667]
  printed = [0.583333, -1.166667, 0.291667, 0, 0.5, -0.583333]
  np.testing.assert_allclose(pulled('exact'), exact, rtol=1e-6)
  np.testing.assert_allclose(pulled('printed'), printed, rtol=1e-5, atol=1e-7)
  np.testing.assert_array_equal(pulled('identity'), G.ravel())


def test_the_exact_rule_is_what_differentiation_gives():
  w = W.at[3].set(1.0)  # an end of the hard tanh
  plain = lambda w: jnp.vdot(jnp.mean(jnp.abs(w)) * ops.sign(w), G)
  np.testing.assert_allclose(
    pulled('exact', w), jax.grad(plain)(w).ravel(), rtol=1e-5
  )


@pytest.mark.parametrize('gradient', ['exact', 'printed', 'identity'])
def test_filters_do_not_see_each_other(gradient):
  w = jax.random.normal(jax.random.key(0), (3, 3, 2, 4))
  g = jax.random.normal(jax.random.key(1), w.shape)
  comp = jc.binary_weight(gradient=gradient)
  f = lambda w: comp.view(*comp.init(w))
  view, pull = jax.vjp(f, w)
  alpha = jnp.abs(w).mean((0, 1, 2))
  np.testing.assert_allclose(jnp.abs(view), alpha + 0 * w, rtol=1e-6)
  order = np.array([2, 0, 3, 1])
  moved, pull_moved = jax.vjp(f, w[..., order])
  np.testing.assert_allclose(moved, view[..., order], rtol=1e-6)
  np.testing.assert_allclose(
    pull_moved(g[..., order])[0], pull(g)[0][..., order], rtol=1e-5, atol=1e-6
  )
  one = jc.binary_weight('layer', gradient=gradient)
  assert len(np.unique(one.view(*one.init(w)))) == 2
  assert len(np.unique(view)) == 8


def test_scale_follows_the_size_of_the_weights():
  comp = jc.binary_weight()
  view = lambda w: comp.view(*comp.init(w))
  np.testing.assert_allclose(view(4 * W), 4 * view(W), rtol=1e-6)


def test_the_file_is_a_bit_a_weight_and_a_scale_a_filter():
  w = jax.random.normal(jax.random.key(0), (3, 3, 32, 64))
  comp = jc.binary_weight()
  encoded = comp.encode(*comp.init(w))
  assert encoded.bits() == w.size + 32 * 64
  assert len(jc.pack(encoded)) < (w.size + 32 * 64) / 8 + 300
  np.testing.assert_array_equal(jc.decode(encoded), comp.view(*comp.init(w)))


def test_clipping_is_an_option():
  for clip in (False, True):
    comp = jc.binary_weight(clip=clip)
    latent, state = comp.init(W)
    latent, _ = comp.update(latent * 2, state, G)
    assert bool((jnp.abs(latent) <= 1).all()) == clip


X = jnp.array(
  [
    [[1, -2, 3], [0.5, -1, 2], [-0.5, 1, -1.5]],
    [[-1, 2, 1], [1.5, 0, -2], [0.5, -1, 0.5]],
  ]
)
FILTER = jnp.array([[[0.5, -0.25], [1, -0.75]], [[-0.5, 0.25], [0.75, 1]]])


def test_k_map_of_two_channels():
  x, w = X.transpose(1, 2, 0)[None], FILTER.transpose(1, 2, 0)[..., None]
  k = k_map(x, (2, 2))
  np.testing.assert_allclose(k[0, ..., 0], [[1.125, 1.625], [0.75, 1.125]])
  conv = jax.lax.conv_general_dilated(
    ops.sign(x),
    ops.sign(w),
    (1, 1),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  np.testing.assert_array_equal(conv[0, ..., 0], [[8, -4], [0, -2]])
  np.testing.assert_allclose(
    (conv * k * jnp.abs(w).mean())[0, ..., 0],
    [[5.625, -4.0625], [0, -1.40625]],
  )


@pytest.mark.parametrize('padding', ['SAME', 'VALID', [(2, 1), (0, 3)]])
@pytest.mark.parametrize('strides', [(1, 1), (2, 3)])
def test_k_map_is_a_box_filter_like_the_convolution(padding, strides):
  x = jax.random.normal(jax.random.key(0), (2, 9, 8, 3))
  want = jax.lax.conv_general_dilated(
    jnp.abs(x).mean(-1, keepdims=True),
    jnp.full((3, 4, 1, 1), 1 / 12),
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  got = k_map(x, (3, 4), strides=strides, padding=padding)
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_k_map_sees_magnitudes_not_signs():
  x = jax.random.normal(jax.random.key(0), (1, 5, 5, 2), jnp.bfloat16)
  assert k_map(x, (2, 2)).dtype == jnp.bfloat16
  assert len(np.unique(k_map(x, (2, 2)).astype(jnp.float32))) > 4
  grad = jax.grad(lambda x: k_map(x, (2, 2)).sum())(x.astype(jnp.float32))
  assert (jnp.sign(grad) == jnp.sign(x.astype(jnp.float32))).all()


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match="scope is 'channel'"):
    jc.binary_weight('channel')
  with pytest.raises(ValueError, match="gradient is 'ste'"):
    jc.binary_weight(gradient='ste')

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jcompress as jc
from jcompress.factor.small_layers import fit
from jcompress.traced.layers import layers

R = np.random.RandomState
X = jnp.float32(R(1).randn(2, 9, 8, 4))


def conv(numbers=('NHWC', 'HWIO', 'NHWC'), **options):
  options = {'window_strides': (1, 1), 'padding': 'SAME', **options}
  return lambda p, x: lax.conv_general_dilated(
    x, p['kernel'], dimension_numbers=numbers, **options
  )


CONVS = {
  'plain': (conv(), (3, 2, 4, 5)),
  'strided, padded unevenly': (
    conv(window_strides=(2, 3), padding=((0, 1), (2, 0))),
    (3, 2, 4, 5),
  ),
  'dilated': (
    conv(rhs_dilation=(2, 3), padding=((3, 1), (0, 4))),
    (3, 2, 4, 5),
  ),
  'transposed': (
    conv(lhs_dilation=(2, 3), padding=((2, 2), (1, 3))),
    (3, 2, 4, 5),
  ),
  'one by one, strided': (
    conv(window_strides=(2, 2), padding='VALID'),
    (1, 1, 4, 5),
  ),
  'one high': (conv(window_strides=(2, 2)), (1, 3, 4, 5)),
  'another layout': (conv(('NHWC', 'OIHW', 'NCHW')), (5, 4, 3, 2)),
  'transposed and reversed before': (
    lambda p, x: conv()({'kernel': jnp.flip(p['kernel'], 0).swapaxes(2, 3)}, x),
    (3, 2, 5, 4),
  ),
}


def small(method, apply_fn, kernel, x=X):
  plan = {'kernel': method}
  return jc.factorize(apply_fn, {'kernel': kernel}, plan, x, must_pay=False)


@pytest.mark.parametrize('name', list(CONVS))
def test_a_convolution_of_all_ranks_is_the_layer(name):
  apply_fn, shape = CONVS[name]
  kernel = jnp.float32(R(0).randn(*shape))
  n_in, n_out = 4, 5
  layer = layers(apply_fn, {'kernel': kernel}, X)[0]
  h, w = [
    layer.contraction.eqn.invars[1].aval.shape[d]
    for d in layer.contraction.eqn.params['dimension_numbers'].rhs_spec[2:]
  ]
  expected = apply_fn({'kernel': kernel}, X)
  for method in (
    jc.svd(min(h * w * n_in, n_out)),
    jc.separable(min(h * n_in, w * n_out)),
    jc.tucker2(n_in, min(n_out, h * w * n_in)),
  ):
    small_apply, params = small(method, apply_fn, kernel)
    np.testing.assert_allclose(small_apply(params, X), expected, atol=1e-4)


@pytest.mark.parametrize('name', ['strided, padded unevenly', 'one high'])
def test_components_of_a_convolution_run_along_one_axis_each(name):
  apply_fn, shape = CONVS[name]
  vectors = [R(i).randn(n, 2) for i, n in enumerate(shape)]
  kernel = jnp.float32(np.einsum('hr,wr,ir,or->hwio', *vectors))
  method = jc.canonical(2, starts=2, sweeps=100)
  small_apply, params = small(method, apply_fn, kernel)
  wide = [n for n in shape[:2] if n > 1]
  assert len(params['kernel']) == 2 + len(wide)
  expected = apply_fn({'kernel': kernel}, X)
  np.testing.assert_allclose(small_apply(params, X), expected, atol=2e-2)


DENSE = {
  'plain': (lambda w, x: x @ w, (8, 5), (3, 8), 5),
  'of the other layout': (lambda w, x: x @ w.T, (5, 8), (3, 8), 5),
  'on the left': (lambda w, x: w @ x, (5, 8), (8, 3), 5),
  'to heads': (
    lambda w, x: jnp.einsum('bnd,dhs->bnhs', x, w),
    (8, 2, 3),
    (2, 3, 8),
    6,
  ),
  'from heads': (
    lambda w, x: jnp.einsum('bnhs,hsd->bnd', x, w),
    (2, 3, 8),
    (2, 4, 2, 3),
    6,
  ),
  'heads first': (
    lambda w, x: jnp.einsum('hds,bnd->bhns', w, x),
    (2, 8, 3),
    (2, 4, 8),
    6,
  ),
  'folded before': (
    lambda w, x: x @ w.reshape(8, 6),
    (8, 2, 3),
    (4, 8),
    6,
  ),
}


@pytest.mark.parametrize('name', list(DENSE))
def test_a_dense_layer_is_folded_by_what_it_sums_over(name):
  product, shape, inputs, rank = DENSE[name]
  w, x = jnp.float32(R(0).randn(*shape)), jnp.float32(R(1).randn(*inputs))
  apply_fn = lambda p, x: product(p['kernel'], x)
  small_apply, params = small(jc.svd(rank), apply_fn, w, x)
  np.testing.assert_allclose(small_apply(params, x), product(w, x), atol=1e-4)
  if rank < 6:
    return
  # Rank one by the layer's matrix, which is not that before the last axis.
  (layer,) = layers(apply_fn, {'kernel': w}, x)
  u, s, v = np.linalg.svd(np.asarray(layer.matrix(w)[0]), full_matrices=False)
  near = layer.kernel(jnp.float32(s[0] * np.outer(u[:, 0], v[0]))[None])
  small_apply, params = small(jc.svd(1), apply_fn, w, x)
  np.testing.assert_allclose(
    small_apply(params, x), product(near, x), atol=1e-4
  )


@pytest.mark.parametrize(
  'method', [jc.tucker2(5, 5), jc.tensor_train((2, 3), (5, 1), 9)]
)
def test_other_factors_of_a_matrix(method):
  w, x = jnp.float32(R(0).randn(6, 5)), jnp.float32(R(1).randn(2, 3, 6))
  small_apply, params = small(method, lambda p, x: x @ p['kernel'], w, x)
  np.testing.assert_allclose(small_apply(params, x), x @ w, atol=1e-4)


def test_a_train_is_contracted_one_core_after_another():
  w, x = jnp.float32(R(0).randn(24, 30)), jnp.float32(R(1).randn(3, 24))
  method = jc.tensor_train((2, 3, 4), (5, 3, 2), 4)
  apply_fn = lambda p, x: x @ p['kernel']
  small_apply, params = small(method, apply_fn, w, x)
  product = method.product(jc.tensor_train_factors(w, (2, 3, 4), (5, 3, 2), 4))
  np.testing.assert_allclose(
    small_apply(params, x), x @ product.reshape(24, 30), atol=1e-4
  )
  shapes = {k: c['kernel'].shape for k, c in params['kernel'].items()}
  assert shapes['core1'] == (4, 3, 3, 4)


def test_half_precision_sums_as_the_model_does():
  w = jnp.bfloat16(R(0).randn(16, 12))
  x = jnp.bfloat16(R(1).randn(4, 16))
  small_apply, params = small(jc.svd(3), lambda p, x: x @ p['kernel'], w, x)
  assert (
    small_apply(params, x).dtype == params['kernel']['first']['kernel'].dtype
  )
  assert small_apply(params, x).dtype == jnp.bfloat16


GROUPED = conv(feature_group_count=2)
REFUSED = {
  'independent groups': (jc.svd(1), GROUPED, (3, 3, 2, 6), X),
  'looked up': (
    jc.svd(1),
    lambda p, i: p['kernel'][i],
    (7, 4),
    jnp.array([1, 2]),
  ),
  '2 independent': (
    jc.svd(1),
    lambda p, x: jnp.einsum('gbi,gio->gbo', x, p['kernel']),
    (2, 4, 3),
    jnp.ones((2, 5, 4)),
  ),
  'leave out in_axes': (jc.svd(1, in_axes=(0,)), conv(), (3, 3, 4, 5), X),
  'tensor train is of dense': (
    jc.tensor_train((2,), (2,), 1),
    conv(),
    (3, 3, 4, 5),
    X,
  ),
  'no rows and columns': (
    jc.separable(1),
    lambda p, x: x @ p['kernel'],
    (4, 5),
    X,
  ),
  r'axes \(1,\); take svd': (
    jc.tucker2(1, 1),
    lambda p, x: x @ p['kernel'].T,
    (5, 4),
    X,
  ),
  r'axes \(0,\), not \(1,\)': (
    jc.svd(1, in_axes=(1,)),
    lambda p, x: x @ p['kernel'],
    (4, 5),
    X,
  ),
  'which must be the first': (
    jc.tensor_train((5,), (4,), 1),
    lambda p, x: x @ p['kernel'].T,
    (5, 4),
    X,
  ),
  'is reversed': (
    jc.svd(1),
    lambda p, x: x @ jnp.flip(p['kernel'], 0),
    (4, 5),
    X,
  ),
  'allows 1 .. 4': (jc.svd(5), lambda p, x: x @ p['kernel'], (4, 5), X),
}


@pytest.mark.parametrize('why', list(REFUSED))
def test_what_a_layer_cannot_be_is_refused_by_its_path(why):
  method, apply_fn, shape, x = REFUSED[why]
  params = {'kernel': jax.ShapeDtypeStruct(shape, jnp.float32)}
  (layer,) = layers(apply_fn, params, x)
  with pytest.raises(ValueError, match=f'kernel cannot be .*{why}'):
    fit(method, layer)

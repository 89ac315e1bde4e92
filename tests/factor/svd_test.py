import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress import curvature, layers
from jcompress.factor.svd import response_factors, svd_factors

R = np.random.RandomState
W = R(0).randn(6, 4)
_r = R(1)
X = _r.randn(50, 6) @ np.diag([4, 2, 1, 0.5, 0.25, 0.1]) @ _r.randn(6, 6)
B = np.array([0.5, -1, 2.0, 0])
OTHER = X + 0.3 * R(2).randn(50, 6)  # inputs of the layer after compression


def low(x):
  return jnp.float32(x)


def square(x):
  return float(np.square(np.asarray(x, np.float64)).sum())


def product(left, right):
  return np.asarray(left, np.float64) @ np.asarray(right, np.float64)


@pytest.mark.parametrize(
  ('rank', 'error'), [(1, 10.509837), (2, 2.891200), (3, 0.427237), (4, 0)]
)
def test_the_error_is_the_tail_of_the_spectrum(rank, error):
  found = product(*svd_factors(low(W), rank))
  np.testing.assert_allclose(square(W - found), error, rtol=1e-5, atol=1e-9)


def test_a_covariance_leaves_the_least_error_of_the_responses():
  c = low(X.T @ X)
  plain = product(*svd_factors(low(W), 2))
  found = product(*svd_factors(low(W), 2, covariance=c))
  np.testing.assert_allclose(square(X @ (W - plain)), 2015.997976, rtol=1e-5)
  np.testing.assert_allclose(square(X @ (W - found)), 146.409853, rtol=1e-5)
  np.testing.assert_allclose(square(W - found), 3.564605, rtol=1e-4)
  scaled = product(*svd_factors(low(W), 2, covariance=c / 50))
  np.testing.assert_allclose(scaled, found, atol=1e-4)


def test_a_diagonal_weighs_the_inputs():
  diagonal = low(np.diag(np.diag(X.T @ X)))
  found = product(*svd_factors(low(W), 2, covariance=diagonal))
  np.testing.assert_allclose(square(X @ (W - found)), 209.178471, rtol=1e-5)


@pytest.mark.parametrize(
  ('alpha', 'error'), [(0.5, 601.718991), (1.0, 204.136674)]
)
def test_a_diagonal_of_sizes_weighs_the_inputs_too(alpha, error):
  sizes = np.abs(X).mean(0) ** alpha
  weights = low(np.diag(sizes**2))
  found = product(*svd_factors(low(W), 2, covariance=weights))
  np.testing.assert_allclose(square(X @ (W - found)), error, rtol=1e-4)


def test_dead_inputs_need_no_inverse():
  x = X.copy()
  x[:, 3] = 0
  found = product(*svd_factors(low(W), 2, covariance=low(x.T @ x)))
  np.testing.assert_allclose(square(x @ (W - found)), 135.306451, rtol=1e-5)
  np.testing.assert_allclose(
    found[3], [0.556076, -0.03314, 0.000104, 0.5366], atol=1e-4
  )


def test_more_outputs_than_inputs_are_whitened_by_a_root():
  w, x = R(3).randn(4, 9), R(4).randn(30, 4) * [3, 1, 0.3, 0.1]
  tail = np.linalg.svd(x @ w, compute_uv=False)[2:]
  found = product(*svd_factors(low(w), 2, covariance=low(x.T @ x)))
  np.testing.assert_allclose(square(x @ (w - found)), square(tail), rtol=1e-4)


def test_the_bias_is_fitted_with_the_centred_responses():
  left, right, bias = response_factors(low(W), low(B), low(X), 2)
  missed = X @ (W - product(left, right)) + B - np.asarray(bias)
  np.testing.assert_allclose(square(missed), 145.562117, rtol=1e-5)
  np.testing.assert_allclose(
    bias, [0.547086, -0.913461, 2.064773, -0.060964], atol=2e-4
  )
  left, right, none = response_factors(low(W), None, low(X), 2)
  assert none is None
  missed = X @ (W - product(left, right))
  np.testing.assert_allclose(square(missed), 146.409853, rtol=1e-5)


def test_targets_mend_what_former_layers_left():
  symmetric = product(*svd_factors(low(W), 2, covariance=low(X.T @ X)))
  missed = lambda found: square(X @ W - OTHER @ found)
  np.testing.assert_allclose(missed(symmetric), 288.158607, rtol=1e-4)
  for rank, error in ((2, 213.597085), (4, 76.339170)):
    fitted = response_factors(low(W), None, low(OTHER), rank, y=low(X @ W))
    found = product(*fitted[:2])
    np.testing.assert_allclose(missed(found), error, rtol=1e-4)


@given(st.integers(0, 2**31), st.integers(1, 4))
def test_a_bias_never_makes_the_regression_worse(seed, rank):
  rng = np.random.default_rng(seed)
  y = X @ W + rng.normal(size=(50, 4)) + 3
  errors = []
  for bias in (None, low(B)):
    left, right, new = response_factors(
      low(W), bias, low(OTHER), rank, y=low(y)
    )
    shift = 0 if new is None else np.asarray(new)
    errors.append(square(y - OTHER @ product(left, right) - shift))
  assert errors[1] <= errors[0] * (1 + 1e-4)


def test_a_strong_ridge_keeps_the_kernel():
  fitted = response_factors(
    low(W), low(B), low(OTHER), 4, y=low(X @ W + B), ridge=1e6
  )
  np.testing.assert_allclose(product(*fitted[:2]), W, atol=1e-4)


def test_convolutions_become_one_of_few_outputs_and_a_small_one():
  k = R(0).randn(3, 2, 4, 5)
  first, last = svd_factors(low(k), 3)
  assert first.shape == (3, 2, 4, 3) and last.shape == (1, 1, 3, 5)
  found = np.einsum('hwir,xyro->hwio', first, last)
  s = np.linalg.svd(k.reshape(24, 5), compute_uv=False)
  np.testing.assert_allclose(square(k - found), square(s[3:]), rtol=1e-5)
  x = R(5).randn(2, 6, 6, 4)
  conv = lambda x, k: jax.lax.conv_general_dilated(
    low(x), low(k), (2, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  small = jax.lax.conv_general_dilated(
    conv(x, first),
    last,
    (1, 1),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  np.testing.assert_allclose(small, conv(x, found), atol=1e-5)


def test_kernels_are_folded_by_what_the_layer_sums_over():
  query = R(0).randn(8, 2, 5)  # width, heads, size
  left, right = svd_factors(low(query), 6, in_axes=(0,))
  assert left.shape == (8, 6) and right.shape == (6, 2, 5)
  tail = np.linalg.svd(query.reshape(8, 10), compute_uv=False)[6:]
  missed = query - np.einsum('ar,rbc->abc', left, right)
  np.testing.assert_allclose(square(missed), square(tail), rtol=1e-4)
  back = low(R(0).randn(5, 2, 8))
  left, right = svd_factors(back, 8, in_axes=(-2, -3))
  assert left.shape == (2, 5, 8) and right.shape == (8, 8)
  np.testing.assert_allclose(
    np.einsum('bar,rc->abc', left, right), back, atol=1e-5
  )


def test_stacked_layers_are_factored_at_once():
  stack = low(R(0).randn(3, 6, 4))
  left, right = jax.vmap(lambda w: svd_factors(w, 2))(stack)
  for w, a, b in zip(stack, left, right, strict=True):
    np.testing.assert_allclose(a @ b, product(*svd_factors(w, 2)), atol=1e-5)


def test_factors_have_the_dtype_of_the_kernel():
  w = low(W).astype(jnp.bfloat16)
  for extra in ({}, {'covariance': low(X.T @ X)}):
    left, right = svd_factors(w, 2, **extra)
    assert left.dtype == right.dtype == jnp.bfloat16


@pytest.mark.parametrize('rank', [0, 5])
def test_ranks_out_of_range_are_refused(rank):
  with pytest.raises(ValueError, match=rf'rank is {rank}; .* 1 .. 4'):
    svd_factors(low(W), rank)
  with pytest.raises(ValueError, match='allows 1 .. 4'):
    response_factors(low(W), None, low(X), rank)


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='in_axes'):
    svd_factors(low(W), 1, in_axes=(0, 1))
  with pytest.raises(ValueError, match='in_axes'):
    svd_factors(low(W), 1, in_axes=(0, 5))
  with pytest.raises(ValueError, match='in_axes'):
    svd_factors(jnp.ones(3), 1)
  with pytest.raises(ValueError, match=r'covariance is \(4, 4\)'):
    svd_factors(low(W), 1, covariance=jnp.eye(4))
  with pytest.raises(ValueError, match=r'x is \(50, 5\)'):
    response_factors(low(W), None, low(X[:, 1:]), 1)
  with pytest.raises(ValueError, match='at least 2 rows'):
    response_factors(low(W), None, low(X[:1]), 2)
  with pytest.raises(ValueError, match=r'y is \(50, 6\)'):
    response_factors(low(W), None, low(X), 1, y=low(X))


def test_moments_of_a_traced_model_fit_its_layers():
  keys = jax.random.split(jax.random.key(0), 4)
  params = {
    'conv': jax.random.normal(keys[0], (3, 2, 4, 5)),
    'query': jax.random.normal(keys[1], (5, 2, 3)),
  }

  def apply_fn(params, x):
    x = jax.lax.conv_general_dilated(
      x,
      params['conv'],
      (2, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    return jnp.einsum('nhwc,cab->nhwab', x, params['query'])

  x = jax.random.normal(keys[2], (8, 6, 5, 4)) * jnp.array([3, 1, 0.3, 0.1])
  moments = curvature.input_hessian(apply_fn, params, [x], pattern='.*')
  found = {l.path: l for l in layers.layers(apply_fn, params, x)}
  for path, w in params.items():
    layer, c = found[path], moments[path][0]
    matrix = np.asarray(layer.matrix(w)[0], np.float64)
    responding = np.linalg.eigvalsh(matrix.T @ np.float64(c) @ matrix)[::-1]
    left, right = svd_factors(w, 2, covariance=c, in_axes=layer.in_axes)
    product = layer.matrix(jnp.tensordot(left, right, 1))[0]
    missed = np.asarray(matrix - product, np.float64)
    error = np.vdot(missed, np.float64(c) @ missed)
    np.testing.assert_allclose(error, responding[2:].sum(), rtol=1e-4)

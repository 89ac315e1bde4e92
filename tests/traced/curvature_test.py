import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jcompress.traced import curvature

KEY = jax.random.key(0)


def model(params, x):
  return jnp.tanh(x @ params['a']['kernel']) @ params['b']['kernel']


def problem(n=12):
  keys = jax.random.split(KEY, 3)
  params = {
    'a': {'kernel': jax.random.normal(keys[0], (4, 3))},
    'b': {'kernel': jax.random.normal(keys[1], (3, 2))},
  }
  x = jax.random.normal(keys[2], (n, 4))
  return params, {'x': x, 'y': jnp.arange(n) % 2}


def loss(params, batch):
  return optax.softmax_cross_entropy_with_integer_labels(
    model(params, batch['x']), batch['y']
  ).mean()


def flat(tree):
  return jax.flatten_util.ravel_pytree(tree)[0]


def full_hessian(params, batch):
  vector, unravel = jax.flatten_util.ravel_pytree(params)
  return jax.jit(jax.hessian(lambda v: loss(unravel(v), batch)))(vector)


def halves(batch, at=8):
  take = lambda s: jax.tree.map(lambda x: x[s], batch)
  return [take(slice(None, at)), take(slice(at, None))]


def test_hvp_is_the_hessian_times_the_vector():
  params, batch = problem()
  vector = jax.tree.map(jnp.cos, params)
  got = curvature.hvp(loss, params, batch, vector)
  want = full_hessian(params, batch) @ flat(vector)
  np.testing.assert_allclose(flat(got), want, rtol=1e-4, atol=1e-6)


def test_hutchinson_is_within_its_standard_error():
  params, batch = problem()
  hessian = full_hessian(params, batch)
  got = curvature.hessian_diag(loss, params, [batch], samples=2000)
  rest = hessian - jnp.diag(jnp.diag(hessian))
  error = jnp.sqrt((rest**2).sum(1) / 2000)
  assert (jnp.abs(flat(got) - jnp.diag(hessian)) < 5 * error + 1e-6).all()


def test_hutchinson_is_exact_for_a_diagonal_hessian():
  params = {'w': jnp.array([1.0, 2.0, 3.0])}
  cubic = lambda p, batch: (p['w'] ** 3).sum() * batch.mean()
  got = curvature.hessian_diag(cubic, params, [jnp.ones(5)], samples=1)
  np.testing.assert_allclose(got['w'], [6, 12, 18])


def test_the_seed_decides_the_draws():
  params, batch = problem()
  run = lambda seed: flat(
    curvature.hessian_diag(loss, params, [batch], samples=2, seed=seed)
  )
  np.testing.assert_array_equal(run(1), run(1))
  assert (run(1) != run(2)).any()


def test_fisher_is_the_mean_of_squared_example_gradients():
  params, batch = problem()
  got = curvature.fisher_diag(loss, params, halves(batch))
  grads = [
    flat(
      jax.grad(loss)(params, jax.tree.map(lambda x, i=i: x[i : i + 1], batch))
    )
    for i in range(12)
  ]
  np.testing.assert_allclose(
    flat(got), np.mean(np.square(grads), 0), rtol=1e-4, atol=1e-7
  )


@pytest.mark.parametrize('name', ['cross_entropy', 'squared'])
def test_gauss_newton_is_that_of_the_full_matrices(name):
  params, batch = problem()
  vector, unravel = jax.flatten_util.ravel_pytree(params)
  got = curvature.gauss_newton_diag(
    model, params, [b['x'] for b in halves(batch)], loss=name
  )
  jacobian = jax.jacobian(lambda v: model(unravel(v), batch['x']))(vector)
  p = jax.nn.softmax(model(params, batch['x']))
  inner = {
    'cross_entropy': jax.vmap(lambda p: jnp.diag(p) - jnp.outer(p, p))(p),
    'squared': jnp.broadcast_to(jnp.eye(2), (12, 2, 2)),
  }[name]
  want = jnp.einsum('nci,ncd,ndi->i', jacobian, inner, jacobian) / 12
  np.testing.assert_allclose(flat(got), want, rtol=1e-4, atol=1e-7)


def test_gauss_newton_is_the_hessian_of_a_linear_model():
  linear = lambda p, x: x @ p['kernel']
  x, y = jax.random.normal(KEY, (9, 3)), jnp.arange(9) % 4
  params = {'kernel': jax.random.normal(KEY, (3, 4))}
  entropy = lambda w: optax.softmax_cross_entropy_with_integer_labels(
    x @ w.reshape(3, 4), y
  ).mean()
  want = jnp.diag(jax.jit(jax.hessian(entropy))(params['kernel'].ravel()))
  got = curvature.gauss_newton_diag(linear, params, [x])
  np.testing.assert_allclose(got['kernel'].ravel(), want, rtol=1e-4)


def test_input_hessian_streams_over_uneven_batches():
  params, batch = problem()
  got = curvature.input_hessian(model, params, [b['x'] for b in halves(batch)])
  hidden = jnp.tanh(batch['x'] @ params['a']['kernel'])
  assert list(got) == ['a/kernel', 'b/kernel']
  np.testing.assert_allclose(
    got['a/kernel'][0], batch['x'].T @ batch['x'] / 12, rtol=1e-4, atol=1e-6
  )
  np.testing.assert_allclose(
    got['b/kernel'][0], hidden.T @ hidden / 12, rtol=1e-4, atol=1e-6
  )


def test_input_hessian_of_a_convolution_counts_every_position():
  kernel = jnp.ones((2, 1, 1, 1))
  x = jnp.arange(6.0).reshape(1, 3, 2, 1)

  def conv(p, x):
    return jax.lax.conv_general_dilated(
      x,
      p['kernel'],
      (1, 1),
      'VALID',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  params = {'conv': {'kernel': kernel}}
  got = curvature.input_hessian(lambda p, x: conv(p['conv'], x), params, [x])
  rows = np.array([[0, 2], [1, 3], [2, 4], [3, 5]])
  np.testing.assert_allclose(got['conv/kernel'][0], rows.T @ rows / 4)


def test_half_precision_params_have_float32_curvature():
  params, batch = problem()
  params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
  for got in (
    curvature.fisher_diag(loss, params, [batch]),
    curvature.hessian_diag(loss, params, [batch], samples=1),
    curvature.gauss_newton_diag(model, params, [batch['x']]),
  ):
    assert {x.dtype for x in jax.tree.leaves(got)} == {np.dtype('float32')}


def test_bad_input_is_refused():
  params, batch = problem()
  with pytest.raises(ValueError, match='no batches'):
    curvature.fisher_diag(loss, params, [])
  with pytest.raises(ValueError, match=r'shapes \[\(0, 4\)\]'):
    curvature.gauss_newton_diag(model, params, [batch['x'][:0]])
  with pytest.raises(ValueError, match="loss is 'hinge'"):
    curvature.gauss_newton_diag(model, params, [], loss='hinge')
  with pytest.raises(ValueError, match='samples is 0'):
    curvature.hessian_diag(loss, params, [batch], samples=0)
  with pytest.raises(ValueError, match='matches no leaf'):
    curvature.input_hessian(model, params, [batch['x']], pattern='conv.*')
  with pytest.raises(ValueError, match='NaN or inf in a/kernel'):
    curvature.input_hessian(model, params, [batch['x'].at[0, 0].set(jnp.nan)])

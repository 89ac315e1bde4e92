import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import models, tree
from jcompress.factor.factorize import factored_forms
from jcompress.traced.layers import layers

R = np.random.RandomState
SHAPES = {'lenet5': (2, 28, 28, 1), 'resnet20': (2, 32, 32, 3)}
X = jnp.float32(R(1).randn(3, 6))
PARAMS = {
  'a': {'w': jnp.float32(R(2).randn(6, 9))},
  'b': [jnp.float32(R(3).randn(9, 7)), jnp.zeros(7)],
}
MLP = lambda p, x: jnp.tanh(x @ p['a']['w']) @ p['b'][0] + p['b'][1]
PLAN = {'a/w': jc.svd(2), 'b/0': jc.svd(3)}


@functools.cache
def network(name, shape, **options):
  """A bundled model's function and params of the given shape of input."""
  model = models.build(name, **options)
  x = jnp.float32(R(0).randn(*shape))
  variables = dict(jax.jit(model.init)(jax.random.key(0), x))
  params = variables.pop('params')
  return lambda p, x: model.apply({'params': p, **variables}, x), params, x


def of_rank(rank, kind, layer):
  """The method of each layer at a rank, no more than it allows."""
  if layer.kind == 'dense':
    shape = layer.contraction.operand.shape
    n_in = math.prod(shape[a] for a in layer.in_axes)
    return jc.svd(min(rank, n_in, math.prod(shape) // n_in))
  h, w, n_in, n_out = layer.contraction.operand.shape
  if kind == 'svd':
    return jc.svd(min(rank, h * w * n_in, n_out))
  if kind == 'separable':
    return jc.separable(min(rank, h * n_in, w * n_out))
  if kind == 'tucker2':
    return jc.tucker2(min(rank, n_in), min(rank, n_out))
  return jc.canonical(rank, starts=1, sweeps=20)


def kernels(apply_fn, params, x):
  return {
    layer.path: layer
    for layer in layers(apply_fn, params, x)
    if layer.groups == 1 and layer.kind != 'embed'
  }


@pytest.mark.parametrize(
  ('name', 'kind', 'macs', 'count'),
  [
    ('lenet5', 'svd', 1_006_880, 19_820),
    ('lenet5', 'separable', 1_048_160, 18_385),
    ('lenet5', 'tucker2', 747_328, 17_581),
    ('lenet5', 'canonical', 435_744, 15_948),
    ('resnet20', 'svd', 27_346_080, None),
    ('resnet20', 'separable', 17_450_144, None),
    ('resnet20', 'tucker2', 15_715_488, None),
    ('resnet20', 'canonical', 6_901_920, None),
  ],
)
def test_the_small_network_has_the_costs_of_its_factors(
  name, kind, macs, count
):
  apply_fn, params, x = network(name, SHAPES[name])
  found = kernels(apply_fn, params, x)
  plan = {q: of_rank(8, kind, layer) for q, layer in found.items()}
  small_apply = jc.factored(apply_fn, plan, params, x)
  forms = factored_forms(apply_fn, plan, params, x)
  cost = jc.flops(small_apply, forms, x)
  assert cost.macs == macs and count in (None, cost.params)


@pytest.mark.parametrize(
  ('name', 'shape', 'options'),
  [
    ('lenet5', (1, 28, 28, 1), {'features': (3, 5, 12)}),
    ('resnet8', (2, 8, 8, 3), {}),
    ('separable', (2, 8, 8, 3), {}),
    ('vit', (2, 8, 8, 3), dict(layers=1, width=8, heads=2, hidden=12, patch=4)),
  ],
)
def test_models_run_their_factors_and_learn(name, shape, options):
  apply_fn, params, x = network(name, shape, **options)
  found = kernels(apply_fn, params, x)
  kinds = ['tucker2', 'separable', 'svd']
  plan = {
    q: of_rank(4, kinds[i % 3], layer)
    for i, (q, layer) in enumerate(found.items())
  }
  small_apply, small = jc.factorize(apply_fn, params, plan, x, must_pay=False)
  assert all(q not in tree.paths(small) for q in plan)
  loss = lambda p: jnp.square(small_apply(p, x)).sum()
  grads = jax.jit(jax.grad(loss))(small)
  for path, g in zip(tree.paths(grads), jax.tree.leaves(grads), strict=True):
    if path.endswith('/kernel'):
      assert np.abs(g).max() > 0, path


def test_what_runs_are_the_multiplied_out_kernels():
  small_apply, small = jc.factorize(MLP, PARAMS, PLAN, X, must_pay=False)
  w, v = PARAMS['a']['w'], PARAMS['b'][0]
  near = lambda m, r: (lambda u, s, t: (u[:, :r] * s[:r]) @ t[:r])(
    *np.linalg.svd(m, full_matrices=False)
  )
  expected = np.tanh(X @ near(w, 2)) @ near(v, 3)
  np.testing.assert_allclose(small_apply(small, X), expected, atol=1e-4)
  one = jax.vmap(small_apply, (None, 0))(small, X)
  np.testing.assert_allclose(one, expected, atol=1e-4)
  assert tree.paths(small)[:2] == ['a/w/first/kernel', 'a/w/last/kernel']
  assert small['b'][0]['first']['kernel'].shape == (9, 3)
  more = jnp.concatenate([X, X])
  np.testing.assert_allclose(small_apply(small, more)[3:], expected, atol=1e-4)


def test_the_gradient_is_that_of_the_product():
  small_apply, small = jc.factorize(MLP, PARAMS, PLAN, X, must_pay=False)

  def dense(p):
    pair = lambda f: f['first']['kernel'] @ f['last']['kernel']
    full = {'a': {'w': pair(p['a']['w'])}, 'b': [pair(p['b'][0]), p['b'][1]]}
    return jnp.square(MLP(full, X)).sum()

  grads = jax.grad(lambda p: jnp.square(small_apply(p, X)).sum())(small)
  expected = jax.grad(dense)(small)
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
  jax.tree.map(close, grads, expected)


def test_a_record_of_plain_values_gives_the_same_function():
  small_apply, small = jc.factorize(MLP, PARAMS, PLAN, X, must_pay=False)
  record = {q: method.record() for q, method in PLAN.items()}
  data = jc.pack({'w': X}, metadata={'factored': record})
  read = jc.unpack(data).metadata['factored']
  forms = jax.eval_shape(lambda p: p, PARAMS)
  again = jc.factored(MLP, read, forms, X)
  np.testing.assert_array_equal(again(small, X), small_apply(small, X))
  shapes = jax.tree.map(np.shape, factored_forms(MLP, read, forms, X))
  assert shapes == jax.tree.map(np.shape, small)


def test_a_kernel_of_two_equal_layers_is_factored_once():
  apply_fn = lambda p, x: jnp.tanh(jnp.tanh(x @ p['w']) @ p['w'])
  params = {'w': jnp.float32(R(4).randn(6, 6))}
  small_apply, small = jc.factorize(apply_fn, params, {'w': jc.svd(2)}, X)
  w = small['w']['first']['kernel'] @ small['w']['last']['kernel']
  np.testing.assert_allclose(
    small_apply(small, X), apply_fn({'w': w}, X), atol=1e-4
  )


@jax.custom_jvp
def own_rule(x, w):
  return x @ w


own_rule.defjvp(lambda p, t: (own_rule(*p), t[0] @ p[1] + 2 * p[0] @ t[1]))


def test_a_lost_derivative_rule_is_refused_and_others_are_kept():
  apply_fn = lambda p, x: own_rule(x @ p['v'], p['w'])
  params = {k: jnp.float32(R(5).randn(6, 6)) for k in 'vw'}
  run, small = jc.factorize(apply_fn, params, {'w': jc.svd(1)}, X)
  with pytest.raises(ValueError, match='derivative rule of its own'):
    jax.grad(lambda p: run(p, X).sum())(small)
  run, small = jc.factorize(apply_fn, params, {'v': jc.svd(1)}, X)
  grads = jax.grad(lambda p: run(p, X).sum())(small)
  v = small['v']['first']['kernel'] @ small['v']['last']['kernel']
  expected = 2 * (X @ v).T @ jnp.ones((3, 6))
  np.testing.assert_allclose(grads['w'], expected, rtol=1e-4, atol=1e-4)


LOOP = lambda x, w: jax.lax.fori_loop(0, 2, lambda _, x: jnp.tanh(x @ w), x)
REFUSED = {
  'w is used beside': lambda p, x: x @ p['w'] + jnp.square(p['w']).sum(),
  'w is used beside the layer .* in a loop': lambda p, x: (
    LOOP(x, p['w']) @ p['w']
  ),
  'No layer multiplies with w as it is: it is used in a loop': lambda p, x: (
    LOOP(x, p['w'])
  ),
  'w is used by 2 layers in different ways': lambda p, x: x @ p['w'] @ p['w'].T,
  'No layer multiplies with w as it is': lambda p, x: x @ (p['w'] * 2),
}


@pytest.mark.parametrize('why', list(REFUSED))
def test_other_uses_of_a_kernel_are_refused(why):
  params = {'w': jax.ShapeDtypeStruct((6, 6), jnp.float32)}
  with pytest.raises(ValueError, match=why):
    jc.factored(REFUSED[why], {'w': jc.svd(1)}, params, X)


def test_factors_that_do_not_pay_are_refused_with_their_numbers():
  with pytest.raises(ValueError, match=r'of a/w has 60 .*\(6, 9\)'):
    jc.factorize(MLP, PARAMS, {'a/w': jc.svd(4)}, X)


def test_a_wrong_network_is_seen():
  with pytest.raises(ValueError, match='multiplied-out kernels by .* 0 are'):
    jc.factorize(MLP, PARAMS, {'a/w': jc.svd(1)}, X, tolerance=0)


@pytest.mark.parametrize(
  ('plan', 'why'),
  [
    ({'c': jc.svd(1)}, 'matches no leaf'),
    ({'a/w': {'name': 'svd'}}, 'is the record of no factorization'),
    ({'a/w': {'name': 'x', 'ranks': [1], 'options': []}}, 'tensor_train'),
    ({'a/w': {**jc.svd(1).record(), 'ranks': [True]}}, 'is the record of no'),
  ],
)
def test_a_plan_that_is_none_is_refused(plan, why):
  with pytest.raises(ValueError, match=why):
    jc.factored(MLP, plan, PARAMS, X)


OIHW = lambda p, x: jax.lax.conv_general_dilated(
  x, p['w'], (1, 1), 'SAME', dimension_numbers=('NCHW', 'OIHW', 'NCHW')
)
HWIO = lambda p, x: jax.lax.conv_general_dilated(
  x, p['w'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
)
REVERSED = lambda p, x: jnp.einsum('nab,oba->no', x, p['w'])


@pytest.mark.parametrize(
  ('apply_fn', 'kernel', 'inputs'),
  [
    (OIHW, (6, 4, 3, 2), (2, 4, 5, 5)),
    (HWIO, (3, 2, 4, 6), (2, 5, 5, 4)),
    (REVERSED, (5, 4, 3), (40, 3, 4)),
    (lambda p, x: x @ p['w'], (7, 5), (30, 7)),
  ],
  ids=['OIHW', 'HWIO', 'reversed', 'dense'],
)
def test_factors_answer_to_moments_whatever_the_order_of_axes(
  apply_fn, kernel, inputs
):
  params = {'w': jnp.float32(R(6).randn(*kernel))}
  scales = jnp.exp(jnp.float32(R(7).randn(*inputs[1:])))
  x = jnp.float32(R(8).randn(*inputs)) * scales
  moments = jc.curvature.input_hessian(apply_fn, params, [x], pattern='w')
  (layer,) = layers(apply_fn, params, x)
  matrix = layer.matrix(params['w'])[0]
  lost = jc.spectrum(matrix, covariance=moments['w'][0])[2:]
  wanted = apply_fn(params, x)

  def error(**options):
    run, small = jc.factorize(apply_fn, params, {'w': jc.svd(2)}, x, **options)
    return float(jnp.square(run(small, x) - wanted).sum())

  rows = wanted.size / matrix.shape[1]
  np.testing.assert_allclose(
    error(moments=moments), rows * np.square(lost).sum(), rtol=1e-3
  )
  assert error(moments=moments) < 0.99 * error()


def test_moments_that_do_not_fit_are_refused():
  run = lambda moments, method=None: jc.factorize(
    HWIO,
    {'w': jnp.ones((3, 2, 4, 6))},
    {'w': method or jc.svd(2)},
    jnp.ones((1, 5, 5, 4)),
    moments=moments,
  )
  with pytest.raises(ValueError, match='moments of v, and no such kernel'):
    run({'v': jnp.ones((1, 24, 24))})
  with pytest.raises(ValueError, match=r'needs? \(1, 24, 24\)'):
    run({'w': jnp.ones((1, 23, 23))})
  with pytest.raises(ValueError, match='no closed form'):
    run({'w': jnp.ones((1, 24, 24))}, jc.tucker2(2, 2))

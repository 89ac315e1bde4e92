import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

KEYS = jax.random.split(jax.random.key(0), 4)
PARAMS = {
  'first': {
    'kernel': jax.random.normal(KEYS[0], (64, 96)),
    'bias': jnp.ones(96),
  },
  'last': {'kernel': jax.random.normal(KEYS[1], (96, 48)) / 10},
}
X = jax.random.normal(KEYS[2], (40, 64))


def apply(params, x=X):
  x = jnp.tanh(x @ params['first']['kernel'] / 8 + params['first']['bias'])
  return x @ params['last']['kernel']


def error(params):
  want = apply(PARAMS)
  return float(((apply(params) - want) ** 2).sum() / (want**2).sum())


@pytest.mark.parametrize('metric', [None, error])
def test_the_file_is_within_the_bytes_and_near_them(metric):
  for size in (3000, 6000):
    plan = jc.plan(PARAMS, size=size, metric=metric)
    data = jc.pack(plan.apply(PARAMS))
    assert 0.9 * size < len(data) == plan.size <= size
    if metric is not None:
      decoded = jc.decode(jc.unpack(data).tree)
      assert plan.error == pytest.approx(metric(decoded))


def test_the_error_is_held_with_few_bytes():
  plan = jc.plan(PARAMS, error=0.02, metric=error)
  assert error(jc.decode(plan.apply(PARAMS))) == pytest.approx(plan.error)
  assert 0.01 < plan.error <= 0.02
  worse = jc.plan(PARAMS, error=0.1, metric=error)
  assert worse.size < plan.size


def test_without_a_metric_the_error_is_that_of_the_weights():
  plan = jc.plan(PARAMS, error=0.1)
  decoded = jc.decode(plan.apply(PARAMS))
  both = [
    (d['kernel'], p['kernel'])
    for d, p in zip(decoded.values(), PARAMS.values(), strict=True)
  ]
  squares = [((d - p) ** 2).sum() / (p**2).sum() for d, p in both]
  weights = [p.size for _, p in both]
  np.testing.assert_allclose(
    plan.error, np.average(squares, weights=weights) ** 0.5, rtol=1e-4
  )
  assert 0.09 < plan.error <= 0.1


def test_it_is_no_worse_than_any_uniform_setting_of_its_size():
  for bits in (2, 3, 4, 6):
    for uniform in (
      jc.select(jc.KERNELS, jc.linear_quantize(bits)),
      jc.select(jc.KERNELS, jc.kmeans_share(bits=bits)),
    ):
      encoded = jc.compress(PARAMS, uniform)
      size = len(jc.pack(encoded))
      plan = jc.plan(PARAMS, size=size, metric=error)
      assert plan.error <= error(jc.decode(encoded))


def test_an_array_that_matters_more_gets_more_bits():
  squares = lambda p, name: float(
    ((p[name]['kernel'] - PARAMS[name]['kernel']) ** 2).sum()
    / (PARAMS[name]['kernel'] ** 2).sum()
  )
  metric = lambda p: squares(p, 'first') + 1000 * squares(p, 'last')
  plan = jc.plan(PARAMS, bits=4, metric=metric)
  rows = {r.path: r for r in jc.report(plan.apply(PARAMS)).rows}
  more, less = rows['last/kernel'], rows['first/kernel']
  assert more.bits_per_weight > less.bits_per_weight + 2
  assert less.bits_per_weight < 4


def test_moments_of_the_inputs_save_errors():
  moments = jc.curvature.input_hessian(apply, PARAMS, [X])
  size = 4000
  plain = jc.plan(PARAMS, size=size, metric=error)
  better = jc.plan(PARAMS, size=size, metric=error, moments=moments)
  assert better.error < 0.8 * plain.error
  assert {c.method for c in better.choices.values()} == {'feedback'}
  encoded = jc.compress(PARAMS, better, moments=moments)
  assert len(jc.pack(encoded)) == better.size
  assert error(jc.decode(encoded)) == pytest.approx(better.error)
  with pytest.raises(ValueError, match='rounds by feedback, which needs the'):
    better.apply(PARAMS)


@pytest.mark.parametrize(
  'of', [jc.curvature.input_hessian, jc.kronecker], ids=['one', 'two']
)
def test_moments_reach_as_few_bytes_as_none(of):
  x = jnp.cumsum(X, axis=1)  # so that inputs make up for much
  moments = of(apply, PARAMS, [x])
  for size in (1100, 700):
    plan = jc.plan(PARAMS, size=size, moments=moments)
    assert 0.8 * size < plan.size <= size


def test_methods_patterns_and_layouts():
  plan = jc.plan(
    PARAMS, bits=4, pattern='last/.*', methods=('linear', 'kmeans')
  )
  assert list(plan.choices) == ['last/kernel']
  assert plan.choices['last/kernel'].method in ('linear', 'kmeans')
  torch = {'w': PARAMS['first']['kernel'].T}
  plan = jc.plan(torch, bits=5, methods=('linear',), layout='torch')
  assert plan.choices['w'].settings['axis'] == 0


@pytest.mark.parametrize(
  ('budget', 'message'),
  [
    ({}, 'exactly one of size, bits and error'),
    ({'size': 3000, 'bits': 2}, 'exactly one of size, bits and error'),
    ({'size': 10}, 'No plan was found with size 10: the least was'),
    ({'bits': 4, 'pattern': '.*bias'}, 'No array to choose for: of first/bias'),
    (
      {'bits': 4, 'layout': 'tf'},
      "layout is 'tf'; it must be 'jax' or 'torch'",
    ),
    ({'bits': 4, 'methods': ('nearest',)}, 'methods has nearest'),
  ],
)
def test_what_cannot_be_planned_is_refused(budget, message):
  with pytest.raises(ValueError, match=message):
    jc.plan(PARAMS, **budget)


def test_progress_goes_through_the_arrays():
  seen = []

  def shown(paths):
    for path in paths:
      yield path
      seen.append(path)

  plan = jc.plan(PARAMS, size=6000, progress=shown)
  assert seen == ['first/kernel', 'last/kernel']
  assert plan.to_json() == jc.plan(PARAMS, size=6000).to_json()

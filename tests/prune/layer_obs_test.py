import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.prune.layer_obs import layer_obs
from jcompress.traced import curvature

methods = pytest.mark.parametrize('method', ['exact', 'blocked'])


def layer(inputs=24, outputs=10, examples=300, seed=0):
  """Correlated inputs that are not negative, and weights, in float64."""
  rng = np.random.default_rng(seed)
  mix = rng.standard_normal((inputs, inputs)) / np.sqrt(inputs)
  x = np.maximum(rng.standard_normal((examples, inputs)) @ mix + 0.3, 0)
  return x, rng.standard_normal((inputs, outputs))


def moments(x):
  return x.T @ x / len(x)


def error(x, w, new):
  change = x @ (np.asarray(new, np.float64) - w)
  return np.sum(change**2) / np.sum((x @ w) ** 2)


def largest(w, count):
  order = np.argsort(-np.abs(w), axis=None)
  mask = np.zeros(w.size, bool)
  mask[order[:count]] = True
  return mask.reshape(w.shape)


def refitted(x, w, mask):
  """Least squares on the kept weights, output by output."""
  new = np.zeros_like(w)
  for j in range(w.shape[1]):
    kept = np.asarray(mask)[:, j]
    new[kept, j] = np.linalg.lstsq(x[:, kept], x @ w[:, j], rcond=None)[0]
  return new


def test_one_removal_costs_what_was_predicted():
  rng = np.random.RandomState(1)
  x, w = rng.randn(200, 5), rng.randn(5, 2)[:, :1]
  new, mask, report = layer_obs(w, moments(x), sparsity=0.2, damping=0.0)
  change = x @ (np.asarray(new) - w)
  assert np.sum(change**2) / 400 == pytest.approx(0.0111488987, rel=1e-5)
  assert report.error == pytest.approx(np.sum(change**2) / np.sum((x @ w) ** 2))
  assert mask.sum() == 4
  np.testing.assert_allclose(new, refitted(x, w, mask), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  'what',
  [
    {'sparsity': 0.3},
    {'sparsity': 0.8},
    {'pattern': '2:4'},
    {'max_error': 0.1},
  ],
)
@pytest.mark.parametrize('block', [1, 4])
def test_exact_is_the_least_squares_refit_of_what_is_kept(what, block):
  if block > 1 and 'pattern' in what:
    what = {'sparsity': 0.5}
  x, w = layer()
  new, mask, _ = layer_obs(w, moments(x), **what, block=block, damping=0.0)
  assert 0 < mask.sum() < mask.size
  np.testing.assert_allclose(new, refitted(x, w, mask), rtol=1e-4, atol=1e-5)


@methods
@pytest.mark.parametrize('sparsity', [0.0, 0.013, 0.5, 0.9, 0.999, 1.0])
def test_the_sparsity_asked_for_is_reached_exactly(method, sparsity):
  x, w = layer(inputs=150)
  new, mask, report = layer_obs(w, moments(x), sparsity=sparsity, method=method)
  assert (new == 0).sum() == (~mask).sum() == round(sparsity * w.size)
  assert report.sparsity == pytest.approx(float(jnp.mean(new == 0)))
  assert report.error == pytest.approx(error(x, w, new), abs=1e-6)
  assert report.method == method


def test_exact_beats_blocked_beats_refit_magnitude_beats_magnitude():
  x, w = layer(inputs=64, outputs=20, examples=1000)
  count = round(0.3 * w.size)
  mask = largest(w, count)
  errors = [
    error(x, w, layer_obs(w, moments(x), sparsity=0.7, method=m)[0])
    for m in ('exact', 'blocked')
  ]
  errors += [error(x, w, refitted(x, w, mask)), error(x, w, w * mask)]
  assert errors[0] < 0.6 * errors[1] and errors[1] < errors[3]
  assert errors[0] < errors[2] < errors[3]


@methods
@pytest.mark.parametrize('pattern', ['2:4', '1:4', '4:8', '1:2'])
def test_patterns_hold_in_each_group_of_inputs(method, pattern):
  x, w = layer()
  n, m = map(int, pattern.split(':'))
  new, mask, report = layer_obs(w, moments(x), pattern=pattern, method=method)
  groups = np.asarray(mask).reshape(-1, m, w.shape[1])
  np.testing.assert_array_equal(groups.sum(1), n)
  np.testing.assert_array_equal(mask, new != 0)
  order = np.argsort(-np.abs(w.reshape(groups.shape)), axis=1)
  by_size = (np.argsort(order, axis=1) < n).reshape(w.shape)
  assert report.error < error(x, w, w * by_size)


@methods
def test_blocks_of_inputs_go_together(method):
  x, w = layer()
  new, mask, report = layer_obs(
    w, moments(x), sparsity=0.5, block=4, method=method
  )
  blocks = np.asarray(mask).reshape(-1, 4, w.shape[1])
  assert (blocks.all(1) | ~blocks.any(1)).all()
  assert (~blocks.any(1)).sum() == blocks.shape[0] * w.shape[1] // 2
  by_norm = np.linalg.norm(w.reshape(blocks.shape), axis=1)
  kept = by_norm > np.median(by_norm)
  assert report.error < error(x, w, w * np.repeat(kept, 4, axis=0))


@methods
@pytest.mark.parametrize(
  'what', [{'sparsity': 0.6}, {'pattern': '2:4'}, {'sparsity': 0.6, 'block': 2}]
)
def test_zeros_stay_and_count_as_pruned(method, what):
  x, w = layer()
  zero = np.random.default_rng(1).random(w.shape) < 0.3
  w = np.where(zero, 0, w)
  new, mask, report = layer_obs(w, moments(x), **what, method=method)
  assert not np.asarray(new)[zero].any() and not np.asarray(mask)[zero].any()
  if 'pattern' in what:
    assert np.asarray(mask).reshape(-1, 4, w.shape[1]).sum(1).max() == 2
  else:
    assert 0.58 < report.sparsity <= 0.6
  if method == 'exact':
    new, mask, _ = layer_obs(w, moments(x), **what, damping=0.0)
    np.testing.assert_allclose(new, refitted(x, w, mask), rtol=1e-4, atol=1e-5)


@methods
def test_more_zeros_than_asked_for_all_stay(method):
  x, w = layer()
  w[: 3 * len(w) // 4] = 0
  new, _, report = layer_obs(w, moments(x), sparsity=0.5, method=method)
  assert report.sparsity == 0.75
  np.testing.assert_allclose(new, w, rtol=1e-6)


@methods
@pytest.mark.parametrize('what', [{'sparsity': 0.5}, {'pattern': '2:4'}])
@pytest.mark.parametrize('damping', [0.0, 0.01])
def test_dead_inputs_go_first_and_touch_nothing(method, what, damping):
  x, w = layer()
  dead = np.array([0, 7, 8, 9, 23])
  x[:, dead] = 0
  new, mask, report = layer_obs(
    w, moments(x), **what, damping=damping, method=method
  )
  assert report.dead == 5 and not report.singular
  assert jnp.isfinite(new).all()
  assert not mask[dead].any()
  if method == 'exact' and not damping:
    live = np.setdiff1d(np.arange(24), dead)
    want = refitted(x[:, live], w[live], mask[live])
    np.testing.assert_allclose(new[live], want, rtol=1e-4, atol=1e-5)


def test_dead_inputs_cost_nothing():
  x, w = layer()
  x[:, 3:6] = 0
  new, mask, report = layer_obs(w, moments(x), max_error=0.0)
  assert report.error < 1e-20 and not mask[3:6].any() and mask.sum() == 210
  np.testing.assert_array_equal(new, np.where(mask, w, 0).astype(np.float32))
  new, _, report = layer_obs(w, np.zeros((24, 24)), sparsity=0.5)
  assert report.dead == 24 and report.error == 0 and jnp.isfinite(new).all()


def test_max_error_is_met_and_used():
  x, w = layer()
  fractions = []
  for limit in (0.001, 0.01, 0.1):
    _, _, report = layer_obs(w, moments(x), max_error=limit, damping=1e-9)
    assert 0.8 * limit < report.error <= limit
    fractions.append(report.sparsity)
  assert fractions == sorted(fractions)
  assert layer_obs(w, moments(x), max_error=1.2)[2].sparsity == 1.0


@methods
def test_too_few_examples_are_refused_or_damped_and_said(method):
  x, w = layer(examples=10)
  for dtype in (np.float64, np.float32):
    h = moments(x.astype(dtype))
    with pytest.raises(ValueError, match='24 inputs .* least eigenvalue'):
      layer_obs(w, h, sparsity=0.5, damping=0.0, method=method)
    new, _, report = layer_obs(w, h, sparsity=0.5, method=method)
    assert report.singular
    assert report.damping == pytest.approx(0.01 * np.diag(h).mean())
    assert jnp.isfinite(new).all() and report.error < 0.5
  assert not layer_obs(w, moments(layer()[0]), sparsity=0.5)[2].singular


@methods
def test_inputs_of_very_different_sizes_need_no_more_damping(method):
  x, w = layer(examples=10)
  x = np.sign(x)  # whole numbers: the Hessian is exact, also in float32
  x[:, 3] *= 1024
  h = (x.T @ x).astype(np.float32)
  new, _, report = layer_obs(w, h, sparsity=0.5, damping=1e-11, method=method)
  assert report.singular and jnp.isfinite(new).all() and report.error < 1
  noisy = h - np.diag(np.full(24, 1e-3, np.float32))
  with pytest.raises(ValueError, match='least eigenvalue is -0.001'):
    layer_obs(w, noisy, sparsity=0.5, damping=1e-9, method=method)


def test_damping_keeps_weights_near():
  x, w = layer(examples=12)
  sizes = [
    float(jnp.abs(layer_obs(w, moments(x), sparsity=0.6, damping=d)[0]).max())
    for d in (1e-9, 1e-2, 1e2)
  ]
  assert sizes[0] > sizes[1] > sizes[2]
  new, mask, _ = layer_obs(w, moments(x), sparsity=0.6, damping=1e9)
  np.testing.assert_array_equal(mask, largest(w, mask.sum()))
  np.testing.assert_allclose(new, w * mask, atol=1e-4)


@methods
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_keeps_the_form_of_a_convolution_and_its_dtype(method, dtype):
  x, w = layer(inputs=18)
  kernel = jnp.asarray(w.reshape(3, 3, 2, 10), dtype)
  new, mask, _ = layer_obs(kernel, moments(x), sparsity=0.5, method=method)
  assert new.shape == mask.shape == kernel.shape and new.dtype == dtype
  flat, _, _ = layer_obs(
    kernel.reshape(18, 10), moments(x), sparsity=0.5, method=method
  )
  np.testing.assert_array_equal(new.reshape(18, 10), flat)
  comp = jc.with_mask(mask)
  np.testing.assert_array_equal(comp.view(*comp.init(new)), new)


@pytest.mark.parametrize('shape', [(0, 4), (4, 0), (1, 1)])
@methods
def test_odd_shapes_pass(method, shape):
  h = np.eye(shape[0])
  new, mask, report = layer_obs(jnp.ones(shape), h, sparsity=0.0, method=method)
  assert new.shape == mask.shape == shape and mask.all()
  assert report.error == 0


def test_large_layers_are_blocked():
  x, w = layer(inputs=4, outputs=3)
  h = moments(x)
  assert layer_obs(w, h, sparsity=0.5)[2].method == 'exact'
  x = np.random.default_rng(0).standard_normal((600, 512))
  w = np.random.default_rng(1).standard_normal((512, 2400))
  report = layer_obs(w, moments(x), sparsity=0.5)[2]
  assert report.method == 'blocked' and report.sparsity == 0.5


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'sparsity': 0.5, 'pattern': '2:4'}, 'exactly one'),
    ({'sparsity': 50}, 'sparsity is 50'),
    ({'max_error': -1.0}, 'max_error is -1'),
    ({'pattern': '4:2'}, "'4:2'"),
    ({'pattern': '2-4'}, "'2-4'"),
    ({'pattern': '2:7'}, '7 divides not 24'),
    ({'sparsity': 0.5, 'block': 5}, 'block is 5'),
    ({'pattern': '2:4', 'block': 4}, 'single weights'),
    ({'sparsity': 0.5, 'damping': -0.1}, 'damping is -0.1'),
    ({'sparsity': 0.5, 'damping': np.nan}, 'damping is nan'),
    ({'sparsity': 0.5, 'method': 'fast'}, "'fast'"),
    ({'max_error': 0.5, 'method': 'blocked'}, 'exact method'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  x, w = layer()
  with pytest.raises(ValueError, match=message):
    layer_obs(w, moments(x), **arguments)


@pytest.mark.parametrize(
  ('hessian', 'message'),
  [
    (np.eye(3), r'\[3, 3\].*\[24, 24\]'),
    (np.full((24, 24), np.nan), '576 entries that are NaN'),
    (-np.eye(24), '24 below zero'),
    (np.tri(24), 'not symmetric'),
    (np.ones((24, 24)) - 0.5 * np.eye(24), 'least eigenvalue is -0.5'),
  ],
)
def test_a_hessian_that_is_none_is_refused(hessian, message):
  with pytest.raises(ValueError, match=message):
    layer_obs(np.ones((24, 2)), hessian, sparsity=0.5)


def test_bad_weights_are_refused():
  with pytest.raises(ValueError, match='NaN or inf'):
    layer_obs(jnp.full((2, 2), jnp.nan), np.eye(2), sparsity=0.5)


def test_takes_the_inputs_of_a_network():
  params = {'fc1': {'kernel': jnp.asarray(layer()[1], jnp.float32)}}
  x = jnp.asarray(layer()[0], jnp.float32)
  apply = lambda p, x: jax.nn.relu(x @ p['fc1']['kernel'])
  found = curvature.input_hessian(apply, params, [x[:100], x[100:]])
  h = found['fc1/kernel'][0]
  _, _, report = layer_obs(params['fc1']['kernel'], h, sparsity=0.5)
  want = layer_obs(params['fc1']['kernel'], moments(x), sparsity=0.5)[2]
  assert report.error == pytest.approx(want.error, rel=1e-3)


def test_takes_the_patches_of_a_convolution():
  rng = np.random.default_rng(0)
  x = np.maximum(rng.standard_normal((8, 6, 6, 3)), 0).astype(np.float32)
  params = {'conv': {'kernel': jnp.asarray(rng.standard_normal((3, 3, 3, 4)))}}

  @jax.jit
  def apply(params, x):
    return jax.lax.conv_general_dilated(
      x,
      params['conv']['kernel'],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  h = curvature.input_hessian(apply, params, [x])['conv/kernel'][0]
  new, _, report = layer_obs(params['conv']['kernel'], h, sparsity=0.6)
  want = apply(params, x)
  change = apply({'conv': {'kernel': new}}, x) - want
  measured = float(jnp.sum(change**2) / jnp.sum(want**2))
  assert report.error == pytest.approx(measured, rel=1e-3)

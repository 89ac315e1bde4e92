import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.prune import column_blocks
from jcompress.quantize.gptq import gptq


def layer(inputs=24, outputs=10, examples=300, seed=0):
  """Correlated inputs that are not negative, and weights."""
  rng = np.random.default_rng(seed)
  mix = rng.standard_normal((inputs, inputs)) / np.sqrt(inputs)
  x = np.maximum(rng.standard_normal((examples, inputs)) @ mix + 0.3, 0)
  w = rng.standard_normal((inputs, outputs)).astype(np.float32)
  return x, w, x.T @ x / examples


def error(x, w, new):
  flat = lambda a: np.asarray(a, np.float64).reshape(x.shape[1], -1)
  return np.sum((x @ (flat(new) - flat(w))) ** 2) / np.sum((x @ flat(w)) ** 2)


def literally(w, hessian, scale, most):
  """Input by input, with a fresh inverse for the inputs from there on."""
  w = np.asarray(w, np.float64).copy()
  for i in range(len(w)):
    g = np.linalg.inv(hessian[i:, i:])
    rounded = scale * np.clip(np.rint(w[i] / scale), -most, most)
    w[i:] -= np.outer(g[:, 0] / g[0, 0], w[i] - rounded)
  return w


@pytest.mark.parametrize('seed', range(5))
def test_lies_between_all_roundings_of_a_small_kernel_and_the_nearest(seed):
  x, w, h = layer(3, 2, 40, seed)
  leaf, report = gptq(w, h, 3, calibration='absmax', damping=0.0)
  scale = np.abs(w).max(0) / 3
  np.testing.assert_allclose(leaf.scale, scale[None], rtol=1e-6)
  codes = np.array(list(itertools.product(range(-3, 4), repeat=3)))
  costs = [
    np.einsum('ni,ij,nj->n', c, h, c)
    for c in (codes[:, :] * s - w[:, j] for j, s in enumerate(scale))
  ]
  total = sum(np.einsum('i,ij,j', v, h, v) for v in w.T.astype(float))
  best = sum(cost.min() for cost in costs) / total
  near = error(x, w, scale * np.rint(w / scale))
  assert best * (1 - 1e-5) <= report.error <= near * (1 + 1e-5)
  assert report.error == pytest.approx(error(x, w, leaf.decode()), rel=1e-5)
  assert report.nearest == pytest.approx(near, rel=1e-5)


@pytest.mark.parametrize('width', [4, 128])
@pytest.mark.parametrize('order', ['given', 'activation'])
def test_rounds_as_with_an_inverse_for_each_input(monkeypatch, width, order):
  monkeypatch.setattr(column_blocks, '_WIDTH', width)
  _, w, h = layer()
  leaf, report = gptq(w, h, 4, calibration='absmax', order=order)
  turn = np.arange(24)
  if order == 'activation':
    turn = np.argsort(-np.diag(h))
  scale = np.asarray(leaf.scale, np.float64)[0]
  damped = h + report.damping * np.eye(24)
  swept = np.empty((24, 10))
  swept[turn] = literally(w[turn], damped[turn][:, turn], scale, 7)
  near = scale * np.clip(np.rint(w / scale), -7, 7)
  cost = lambda a: np.einsum('io,ij,jo->o', a - w, damped, a - w)
  better = cost(swept) < cost(near)
  assert better.sum() > 5
  want = np.where(better, swept, near)
  np.testing.assert_allclose(leaf.decode(), want, atol=1e-5)


@pytest.mark.parametrize('bits', [2, 3, 4, 8])
@pytest.mark.parametrize(
  'what',
  [
    {},
    {'order': 'given'},
    {'symmetric': False},
    {'group': 8},
    {'group': 8, 'order': 'given', 'symmetric': False},
    {'group': 7, 'scale_dtype': 'bfloat16', 'calibration': 'absmax'},
  ],
)
def test_is_never_worse_than_rounding_to_nearest(bits, what):
  for seed in range(3):
    _, w, h = layer(30, 5, 100, seed)
    near = jc.linear_quantize(
      bits,
      symmetric=what.get('symmetric', True),
      tile=what.get('group'),
      scale_dtype=what.get('scale_dtype', 'float32'),
    )
    near = near.encode(*near.init(jnp.asarray(w))).decode()
    leaf, report = gptq(w, h, bits, **what)
    damped = h + report.damping * np.eye(30)
    cost = lambda a, w=w, d=damped: np.einsum('io,ij,jo', a - w, d, a - w)
    assert cost(np.asarray(leaf.decode())) <= cost(np.asarray(near)) * 1.001
    assert report.error <= 1.02 * report.nearest


def test_errors_of_correlated_inputs_fall_far_below_the_nearest():
  _, w, h = layer(128, 32, 1000)
  found = [gptq(w, h, bits)[1] for bits in (3, 4)]
  assert all(r.error < 0.55 * r.nearest for r in found)
  assert found[1].error < 0.4 * found[0].error
  given = gptq(w, h, 3, order='given')[1]
  assert found[0].error < given.error < given.nearest


@pytest.mark.parametrize('what', [{'sparsity': 0.5}, {'pattern': '2:4'}])
def test_prunes_and_rounds_together(what):
  x, w, h = layer()
  leaf, report = gptq(w, h, 4, **what)
  codes = np.asarray(leaf.codes)
  if 'pattern' in what:
    assert ((codes.reshape(6, 4, 10) != 0).sum(1) <= 2).all()
  assert report.sparsity == np.mean(codes == 0) >= 0.5
  pruned, _, _ = jc.layer_obs(w, h, **what, method='blocked')
  scale = np.asarray(leaf.scale)
  after = scale * np.clip(np.rint(np.asarray(pruned) / scale), -7, 7)
  assert report.error < error(x, w, after)


def test_zeros_stay_zero():
  _, w, h = layer()
  w[::3] = 0
  for what in ({}, {'symmetric': False}, {'sparsity': 0.6}):
    leaf, _ = gptq(w, h, 3, **what)
    assert not np.asarray(leaf.decode())[::3].any()


def test_dead_inputs_are_rounded_to_nearest_and_touch_nothing():
  x, w, _ = layer()
  x[:, 5] = 0
  h = x.T @ x / len(x)
  leaf, report = gptq(w, h, 4, calibration='absmax')
  scale = np.asarray(leaf.scale)[0]
  np.testing.assert_array_equal(leaf.codes[5], np.rint(w[5] / scale))
  alive = np.arange(24) != 5
  same = (np.abs(w).argmax(0) != 5) & alive.any()
  less, _ = gptq(w[alive], h[alive][:, alive], 4, calibration='absmax')
  np.testing.assert_array_equal(
    np.asarray(leaf.codes)[alive][:, same], np.asarray(less.codes)[:, same]
  )
  assert report.dead == 1


def test_keeps_the_form_of_a_convolution_and_its_dtype():
  x, w, h = layer(24, 10)
  kernel = jnp.asarray(w.reshape(2, 2, 6, 10), jnp.bfloat16)
  leaf, report = gptq(kernel, h, 4, group=4, symmetric=False)
  assert leaf.codes.shape == (2, 2, 6, 10) and leaf.tile == (2, 4)
  assert leaf.scale.shape == leaf.zero.shape == (1, 1, 2, 10)
  assert leaf.decode().dtype == jnp.bfloat16
  back = jc.unpack(jc.pack(leaf)).tree.decode()
  assert report.error == pytest.approx(error(x, kernel, back), rel=1e-4)


@pytest.mark.parametrize('shape', [(1, 1), (3, 0), (0, 2)])
@pytest.mark.parametrize('group', [None, 2])
def test_odd_kernels_pass(shape, group):
  w = np.ones(shape, np.float32)
  leaf, report = gptq(w, np.eye(shape[0]), 4, group=group)
  np.testing.assert_allclose(leaf.decode(), np.ones(shape), rtol=1e-6)
  assert report.error < 1e-12


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 1}, 'bits is 1'),
    ({'sparsity': 2}, 'sparsity is 2'),
    ({'sparsity': 0.5, 'pattern': '2:4'}, 'not both'),
    ({'pattern': '2:5'}, '5 divides not 24'),
    ({'pattern': '2:4', 'order': 'activation'}, "give order='given'"),
    ({'order': 'random'}, "order is 'random'"),
    ({'group': 1}, 'group is 1'),
    ({'damping': -1.0}, 'damping is -1'),
    ({'calibration': 'max'}, "calibration is 'max'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  _, w, h = layer()
  with pytest.raises(ValueError, match=message):
    gptq(w, h, **{'bits': 4, **arguments})


def test_bad_weights_are_refused():
  _, w, h = layer()
  with pytest.raises(ValueError, match='NaN or inf'):
    gptq(np.full((24, 2), np.nan), h, 4)
  with pytest.raises(ValueError, match=r'\[24, 24\]; a layer of 12'):
    gptq(w[:12], h, 4)
  with pytest.raises(ValueError, match='no axis of a weight'):
    gptq(np.ones(4), np.eye(1), 4)

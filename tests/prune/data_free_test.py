import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.prune.data_free import (
  data_free_prune,
  merge_saliency,
  neuron_distance,
  saliency_cutoff,
)

# Rows are neurons; neuron 1 is twice neuron 0.
W = np.array([[1.0, 2], [2, 4], [1, 0]])
B = np.array([0.5, 1, 0.2])
A = np.array([[1.0, -1], [0.5, 2], [0.3, 0.1]])
PATHS = {'kernel': 'fc1/kernel', 'outgoing': 'fc2/kernel'}


def network(w, b, a):
  params = {
    'fc1': {'kernel': w.T, 'bias': b},
    'fc2': {'kernel': a, 'bias': np.zeros(a.shape[-1])},
  }
  return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)


def output(params, x, activation=jax.nn.relu):
  h = activation(x @ params['fc1']['kernel'] + params['fc1']['bias'])
  return h @ params['fc2']['kernel'] + params['fc2']['bias']


def test_saliencies_to_the_digit():
  scale = np.linalg.norm(W, axis=1)
  np.testing.assert_allclose(scale, [2.236068, 4.472136, 1], atol=1e-6)
  s = merge_saliency(neuron_distance(W, B), A * scale[:, None])
  assert s[0, 1] == s[1, 0] == 0
  assert s[0, 2] == pytest.approx(0.022698, abs=1e-6)
  assert s[1, 2] == pytest.approx(0.022698, abs=1e-6)
  assert s[2, 0] == pytest.approx(2.269777, abs=1e-6)
  assert s[2, 1] == pytest.approx(19.293102, abs=1e-6)
  assert np.isinf(np.diag(s)).all()


def test_a_multiple_is_merged_without_a_trace():
  params = network(W, B, A)
  small, kept, report = data_free_prune(params, **PATHS, remove=1)
  np.testing.assert_array_equal(kept, [True, False, True])
  np.testing.assert_allclose(
    small['fc2']['kernel'], [[2, 3], [0, 0], [0.3, 0.1]], rtol=1e-6
  )
  np.testing.assert_array_equal(report.saliency, [0])
  x = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
  np.testing.assert_allclose(output(small, x), output(params, x), atol=2e-5)
  assert not small['fc1']['kernel'][:, 1].any() and not small['fc1']['bias'][1]


@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-2, 2))
def test_a_doubled_neuron_is_undone(seed, factor, share):
  rng = np.random.default_rng(seed)
  w, b, a = (rng.standard_normal(s) for s in ((6, 4), 6, (6, 3)))
  double = network(
    np.append(w, factor * w[2:3], axis=0),
    np.append(b, factor * b[2]),
    np.append(a, share * a[2:3] / factor, axis=0),
  )
  double['fc2']['kernel'] = double['fc2']['kernel'].at[2].multiply(1 - share)
  small, kept, report = data_free_prune(double, **PATHS, remove=1)
  assert kept.sum() == 6 and kept[:2].all() and kept[3:6].all()
  assert report.saliency[0] < 1e-10
  x = rng.standard_normal((20, 4)).astype(np.float32)
  want = output(network(w, b, a), x)
  np.testing.assert_allclose(output(small, x), want, rtol=1e-3, atol=1e-4)


def test_opposite_neurons_are_never_merged():
  distance = neuron_distance(np.array([[1.0, 2], [-1, -2]]), np.zeros(2))
  assert np.isinf(distance[0, 1])
  params = network(np.array([[1.0, 2], [-1, -2]]), np.zeros(2), A[:2])
  _, kept, report = data_free_prune(params, **PATHS)
  assert kept.all() and not len(report.saliency)
  with pytest.raises(ValueError, match='only 0 of 2 neurons can be merged'):
    data_free_prune(params, **PATHS, remove=1)


def test_biases_count():
  w = np.array([[1.0, 2], [1, 2], [1, 2]])
  np.testing.assert_allclose(neuron_distance(w, np.zeros(3)), 0, atol=1e-7)
  distance = neuron_distance(w, np.array([1.0, 3, -1]))
  np.testing.assert_allclose(distance[0, 1], 0.5)
  assert np.isinf(distance[0, 2])
  # The difference of biases is one number, not one for each weight.
  raw = neuron_distance(w, np.array([1.0, 3, -1]), homogeneous=False)
  np.testing.assert_allclose(raw, [[0, 2, 2], [2, 0, 4], [2, 4, 0]])


def test_the_distance_of_unit_vectors_is_of_their_angle():
  w = np.random.default_rng(0).standard_normal((5, 3))
  unit = w / np.linalg.norm(w, axis=1, keepdims=True)
  c = unit @ unit.T
  want = np.sqrt(np.maximum(1 - c, 0) / (1 + c))
  np.testing.assert_allclose(neuron_distance(w, np.zeros(5)), want, atol=1e-7)


def test_other_activations_compare_raw_weights():
  w, b, a = W[[0, 1, 2, 2]], B[[0, 1, 2, 2]], A[[0, 1, 2, 0]]
  params = network(w, b, a)
  merge = functools.partial(data_free_prune, params, homogeneous=False)
  small, kept, report = merge(**PATHS, remove=1)
  np.testing.assert_array_equal(kept, [True, True, True, False])
  assert report.saliency[0] == 0
  x = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
  out = functools.partial(output, x=x, activation=jnp.tanh)
  np.testing.assert_allclose(out(small), out(params), atol=1e-5)
  _, kept, report = merge(**PATHS, remove=2)
  assert report.saliency[1] > 0, 'a multiple is another neuron to a tanh'


def exhaustive(distance, a, count):
  """The paper's loop: build the matrix, take the least, build it anew."""
  a, alive, merges = a.copy(), list(range(len(a))), []
  for _ in range(count):
    s = merge_saliency(distance, a)
    pairs = [(s[i, j], i, j) for i in alive for j in alive if i != j]
    _, i, j = min(pairs)
    a[i] += a[j]
    alive.remove(j)
    merges.append((i, j))
  return merges, alive


@given(st.integers(0, 10**6))
def test_the_order_is_that_of_the_papers_loop(seed):
  rng = np.random.default_rng(seed)
  w, b, a = rng.random((8, 3)), rng.random(8), rng.standard_normal((8, 2))
  w, b, a = (x.astype(np.float32).astype(float) for x in (w, b, a))
  scale = np.linalg.norm(w, axis=1)[:, None]
  merges, alive = exhaustive(neuron_distance(w, b), a * scale, 5)
  small, kept, _ = data_free_prune(network(w, b, a), **PATHS, remove=5)
  np.testing.assert_array_equal(np.flatnonzero(kept), alive)
  for i, j in merges:
    a[i] += scale[j] / scale[i] * a[j]
  np.testing.assert_allclose(
    small['fc2']['kernel'][kept], a[alive], rtol=1e-4, atol=1e-5
  )


def test_the_cutoff_is_the_peak_without_the_tail():
  rng = np.random.default_rng(0)
  bulk = rng.normal(3.0, 0.2, 900)
  values = np.concatenate([bulk, rng.uniform(0, 6, 60), [1e4] * 40, [np.inf]])
  assert saliency_cutoff(values.reshape(7, 143)) == pytest.approx(3.0, abs=0.3)
  assert saliency_cutoff(np.full((2, 2), np.inf)) == 0
  assert saliency_cutoff(np.zeros((2, 2))) == 0


def test_the_cutoff_finds_the_copies():
  rng = np.random.default_rng(0)
  w, b = np.abs(rng.standard_normal((10, 30))), rng.random(10)
  pick = np.repeat(np.arange(10), 4)
  noisy = w[pick] + 1e-3 * rng.standard_normal((40, 30))
  a = rng.standard_normal((40, 5))
  params = network(noisy, b[pick], a)
  _, kept, report = data_free_prune(params, **PATHS)
  assert (report.saliency <= report.cutoff).all()
  assert kept.sum() <= 10
  _, half, _ = data_free_prune(params, **PATHS, fraction=0.5)
  assert (~half).sum() == round(0.5 * (~kept).sum())
  small, kept, report = data_free_prune(params, **PATHS, remove=30)
  assert sorted(pick[kept]) == list(range(10)), 'one of each stays'
  x = rng.standard_normal((200, 30)).astype(np.float32)
  error = lambda p: float(jnp.linalg.norm(output(p, x) - output(params, x)))
  plain = jax.tree.map(jnp.copy, params)
  plain['fc2']['kernel'] = params['fc2']['kernel'] * kept[:, None]
  assert error(small) < 0.02 * error(plain)


def conv_net(params, statistics, x):
  conv = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=(1, 1),
    padding='SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  h = conv(x, params['conv1']['kernel']) + params['conv1']['bias']
  s = statistics['bn']
  h = (h - s['mean']) / jnp.sqrt(s['var'] + 1e-5)
  h = jax.nn.relu(h * params['bn']['scale'] + params['bn']['bias'])
  if 'conv2' in params:
    h = conv(h, params['conv2']['kernel'])
  h = jax.lax.reduce_window(
    h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID'
  )
  return h.reshape(len(x), -1) @ params['fc']['kernel']


@pytest.mark.parametrize('outgoing', ['conv2', 'fc'])
def test_channels_merge_through_normalization_pooling_and_flattening(outgoing):
  rng = np.random.default_rng(0)
  normal = lambda *s: rng.standard_normal(s)
  kernel, bias = normal(3, 3, 2, 5), normal(5)
  scale, shift, mean, var = normal(5), normal(5), normal(5), rng.random(5) + 0.5
  # After normalization, channel 3 is three times channel 1.
  kernel[..., 3], bias[3] = -2 * kernel[..., 1], 0.7
  factor = scale / np.sqrt(var + 1e-5)
  scale[3] = -1.5 * factor[1] * np.sqrt(var[3] + 1e-5)
  first = (bias[1] - mean[1]) * factor[1] + shift[1]
  shift[3] = 3 * first - (bias[3] - mean[3]) * -1.5 * factor[1]
  params = {
    'conv1': {'kernel': kernel, 'bias': bias},
    'bn': {'scale': scale, 'bias': shift},
    'conv2': {'kernel': normal(3, 3, 5, 4)},
    'fc': {'kernel': normal(2 * 2 * 4, 3)},
  }
  if outgoing == 'fc':
    del params['conv2']
    params['fc']['kernel'] = normal(2 * 2 * 5, 3)
  cast = lambda t: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), t)
  params, statistics = cast(params), cast({'bn': {'mean': mean, 'var': var}})
  small, kept, report = data_free_prune(
    params,
    kernel='conv1/kernel',
    outgoing=f'{outgoing}/kernel',
    norm='bn',
    statistics=statistics,
    remove=1,
  )
  assert kept[[0, 2, 4]].all() and kept.sum() == 4
  assert report.saliency[0] < 1e-8
  x = normal(6, 4, 4, 2).astype(np.float32)
  got = conv_net(small, statistics, x)
  want = conv_net(params, statistics, x)
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)
  for leaf in (*small['conv1'].values(), *small['bn'].values()):
    assert not leaf[..., ~kept].any() and leaf[..., kept].all()


def test_neurons_without_effect_go_first():
  rng = np.random.default_rng(1)
  w, b, a = (rng.standard_normal(s) for s in ((5, 3), 5, (5, 2)))
  a[3] = 0
  w[1] = 0
  w[4], b[4] = 0, 0
  params = network(w, b, a)
  small, kept, report = data_free_prune(params, **PATHS, remove=1)
  np.testing.assert_array_equal(kept, [True, True, True, False, True])
  assert report.saliency[0] == 0
  small, _, _ = data_free_prune(params, **PATHS, remove=2)
  assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(small))


def test_nothing_to_remove_changes_nothing():
  params = network(W, B, A)
  small, kept, _ = data_free_prune(params, **PATHS, remove=0)
  assert kept.all()
  for x, y in zip(jax.tree.leaves(small), jax.tree.leaves(params), strict=True):
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'kernel': 'fc3/kernel'}, 'no fc3/kernel; the params have'),
    ({'outgoing': 'fc1/kernel'}, r'3 units, fc1/kernel the shape \[2, 3\]'),
    ({'remove': 3}, 'remove is 3; it must lie in 0 .. 2'),
    ({'fraction': 1.5}, 'fraction is 1.5'),
    ({'remove': 1, 'fraction': 0.5}, 'not both'),
    ({'norm': 'bn', 'statistics': {}}, r"no \['bn/mean', 'bn/var'\]"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    data_free_prune(network(W, B, A), **PATHS | arguments)

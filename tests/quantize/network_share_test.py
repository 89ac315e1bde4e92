"""Tests of the methods of one codebook for a network."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.quantize.ecsq import energy
from jcompress.quantize.kmeans import kmeans_1d
from jcompress.quantize.network_share import uniform_1d

# The zero is nudged off zero, which has a code of its own.
W = np.array([-1.0, -0.6, -0.1, 1e-9, 0.2, 0.5, 0.9, 1.0])
H = np.array([1.0, 4.0, 1.0, 1.0, 9.0, 1.0, 1.0, 0.25])


def two_layers(x):
  """Eight numbers as a tree of two arrays, neither of them sorted."""
  return {'a': jnp.asarray(x[::-2].reshape(2, 2)), 'b': jnp.asarray(x[::2])}


PARAMS = two_layers(W.astype(np.float32))
IMPORTANCE = two_layers(H)


def codebook(comp, params=PARAMS):
  """Used centers and the codes of the eight weights, in their order."""
  centers, state = comp.init(params)
  codes = np.empty(8, int)
  codes[::-2] = state.shares['a'].codes.ravel() - 1
  codes[::2] = state.shares['b'].codes - 1
  assert not centers[state.used :].any()
  return np.asarray(centers[: state.used]), codes


@pytest.mark.parametrize(
  ('k', 'importance', 'centers', 'codes', 'distortion'),
  [
    (2, None, [-0.425, 0.65], [0, 0, 0, 0, 1, 1, 1, 1], None),
    (2, IMPORTANCE, [-0.68, 0.2528302], [0, 0, 1, 1, 1, 1, 1, 1], 0.9610189),
    (3, None, [-0.8, 0.033333, 0.8], [0, 0, 1, 1, 1, 2, 2, 2], 0.5788889),
    (
      3,
      IMPORTANCE,
      [-0.68, 0.1545455, 0.7333333],
      [0, 0, 1, 1, 1, 2, 2, 2],
      0.3352727,
    ),
  ],
)
def test_known_answers_of_kmeans(k, importance, centers, codes, distortion):
  comp = jc.hessian_kmeans_share(k=k, importance=importance)
  got, got_codes = codebook(comp)
  np.testing.assert_allclose(got, centers, atol=6e-7)
  np.testing.assert_array_equal(got_codes, codes)
  if distortion:
    found = (H * (W - got.astype(np.float64)[codes]) ** 2).sum()
    assert found == pytest.approx(distortion, abs=1e-7)


@pytest.mark.parametrize('k', [2, 3])
def test_no_partition_of_all_weights_is_better(k):
  def distortion(codes):
    total = 0
    for j in set(codes):
      mine = np.equal(codes, j)
      center = np.average(W[mine], weights=H[mine])
      total += (H * (W - center) ** 2)[mine].sum()
    return total

  least = min(map(distortion, itertools.product(range(k), repeat=8)))
  comp = jc.hessian_kmeans_share(k=k, importance=IMPORTANCE)
  centers, codes = codebook(comp)
  found = (H * (W - centers[codes]) ** 2).sum()
  assert found == pytest.approx(least, rel=1e-6)


def test_known_answers_of_uniform_bins():
  w = np.append(np.delete(W, 3), 0.0)
  h = np.append(np.delete(H, 3), 1.0)
  want = [-1, -0.6, 0.033333, 0.5, 0.95]
  weighted = [-1, -0.6, 0.154545, 0.5, 0.92]
  centers, codes = uniform_1d(w, 0.5)
  np.testing.assert_allclose(centers, want, atol=6e-7)
  np.testing.assert_array_equal(codes, [0, 1, 2, 2, 3, 4, 4, 2])
  np.testing.assert_allclose(uniform_1d(w, 0.5, h)[0], weighted, atol=6e-7)
  p = np.bincount(codes) / 8
  assert -(p * np.log2(p)).sum() == pytest.approx(2.155639, abs=1e-6)

  got, got_codes = codebook(jc.uniform_share(0.5, importance=IMPORTANCE))
  np.testing.assert_allclose(got, weighted, atol=6e-7)
  np.testing.assert_array_equal(got_codes, [0, 1, 2, 2, 2, 3, 4, 4])


def test_a_number_of_bins_is_a_step_and_empty_bins_are_dropped():
  # Five bins of 0.4 have their middles at -0.8, -0.4, 0, 0.4, 0.8.
  centers, codes = codebook(jc.uniform_share(k=5))
  np.testing.assert_array_equal(codes, [0, 1, 2, 2, 2, 3, 4, 4])
  np.testing.assert_allclose(centers, codebook(jc.uniform_share(0.401))[0])
  centers, state = jc.uniform_share(k=101).init(PARAMS)
  assert centers.shape == (101,) and state.used == 8
  np.testing.assert_allclose(np.sort(W), centers[:8], atol=1e-7)


@pytest.mark.parametrize('k', [1, 3, 255, 65535])
def test_the_largest_weights_are_in_the_outer_bins(k):
  w = {'w': jnp.array([-3.0, -1e-9, 1e-9, 3.0])}
  _, state = jc.uniform_share(k=k).init(w)
  assert state.used == min(k, 3)


@pytest.mark.parametrize(
  ('strength', 'codes'),
  [
    (0.1, [0, 1, 2, 2, 2, 2, 3, 3]),
    (0.5, [0, 1, 2, 2, 2, 2, 2, 2]),
  ],
)
def test_known_answers_of_entropy_constraints(strength, codes):
  comp = jc.ecsq_share(
    5, strength=strength / energy(W, H), importance=IMPORTANCE
  )
  np.testing.assert_array_equal(codebook(comp)[1], codes)


def test_an_entropy_constraint_of_zero_is_kmeans_from_the_same_start():
  key = jax.random.key(0)
  params = {'a': jax.random.normal(key, (20, 10)), 'b': jnp.ones(3)}
  free, _ = jc.ecsq_share(4, strength=0.0).init(params)
  lloyd, _ = jc.hessian_kmeans_share(k=4, start='linear').init(params)
  np.testing.assert_allclose(free, lloyd, rtol=1e-5)


def test_bits_bound_the_entropy_of_the_codes_of_all_layers():
  keys = jax.random.split(jax.random.key(0), 2)
  params = {
    'a': jax.random.normal(keys[0], (60, 50)),
    'b': jnp.where(jnp.arange(999) % 3, 0, jax.random.normal(keys[1], (999,))),
  }
  _, state = jc.ecsq_share(64, bits=2.0).init(params)
  codes = np.concatenate([s.codes.ravel() for s in state.shares.values()])
  p = np.bincount(codes[codes > 0])[1:] / (codes > 0).sum()
  assert 1.9 < -(p * np.log2(p)).sum() <= 2.0


@pytest.mark.parametrize(
  'method',
  [
    lambda h: jc.hessian_kmeans_share(k=3, importance=h),
    lambda h: jc.uniform_share(0.3, importance=h),
    lambda h: jc.ecsq_share(8, strength=0.05, importance=h),
    lambda h: jc.ecsq_share(8, bits=1.5, importance=h),
  ],
  ids=['kmeans', 'uniform', 'ecsq', 'ecsq_bits'],
)
def test_only_ratios_of_importances_matter(method):
  def same(one, other):
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_allclose(one[0], other[0], rtol=1e-6)

  scaled = jax.tree.map(lambda h: 7 * h, IMPORTANCE)
  same(codebook(method(IMPORTANCE)), codebook(method(scaled)))
  ones = jax.tree.map(jnp.ones_like, IMPORTANCE)
  same(codebook(method(ones)), codebook(method(None)))


def test_equal_importances_are_plain_kmeans_of_all_weights():
  centers, codes = codebook(jc.hessian_kmeans_share(bits=1))
  found = kmeans_1d(W, 2)
  np.testing.assert_array_equal(centers, found.centers)
  np.testing.assert_array_equal(codes, found.codes)


def test_the_second_moment_of_adam_draws_the_centers():
  w = {'w': jnp.array([0.0, 1.0, 2.0, 3.0]) + 1}
  tx = optax.adam(0.1)
  grads = {'w': jnp.array([1.0, 3.0, 1.0, 1.0])}
  _, opt_state = tx.update(grads, tx.init(w))
  h = jc.second_moment(opt_state)
  centers, _ = jc.hessian_kmeans_share(k=2, importance=h).init(w)
  np.testing.assert_allclose(centers, [1.75, 3.5], rtol=1e-6)


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: jc.hessian_kmeans_share(), 'exactly one of bits and k'),
    (lambda: jc.hessian_kmeans_share(2, k=4), 'exactly one of bits and k'),
    (lambda: jc.hessian_kmeans_share(16), 'bits is 16'),
    (lambda: jc.hessian_kmeans_share(k=2, start='x'), "start is 'x'"),
    (lambda: jc.uniform_share(), 'exactly one of step and k'),
    (lambda: jc.uniform_share(0.1, k=3), 'exactly one of step and k'),
    (lambda: jc.uniform_share(0.0), 'step is 0'),
    (lambda: jc.uniform_share(float('nan')), 'step is nan'),
    (lambda: jc.uniform_share(k=4), 'k is 4; it must be odd'),
    (lambda: jc.uniform_share(k=65537), 'k is 65537'),
    (lambda: jc.ecsq_share(4), 'exactly one of strength and bits'),
    (lambda: jc.ecsq_share(4, strength=1.0, bits=1.0), 'exactly one of'),
    (lambda: jc.ecsq_share(0, bits=1.0), 'k is 0'),
    (lambda: jc.ecsq_share(4, strength=-1.0), 'strength is -1'),
    (lambda: jc.ecsq_share(4, bits=0.0), 'bits is 0'),
    (lambda: jc.ecsq_share(4, bits=1.0, start='x'), "start is 'x'"),
  ],
)
def test_bad_arguments_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


def test_steps_that_cannot_be_are_refused():
  with pytest.raises(ValueError, match='at most 65535'):
    jc.uniform_share(1e-6).init({'w': jnp.linspace(-1, 1, 70_000)})
  with pytest.raises(ValueError, match='cannot be traced. Give k'):
    jax.jit(jc.uniform_share(0.1).init)(PARAMS)

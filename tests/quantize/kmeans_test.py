import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jcompress.quantize.kmeans import kmeans_1d

HAN = np.array(
  [
    [2.09, -0.98, 1.48, 0.09],
    [0.05, -0.14, -1.08, 2.12],
    [-0.91, 1.92, 0, -1.03],
    [1.87, 0, 1.53, 1.49],
  ],
  np.float32,
)
CHOI = np.array([-1, -0.6, -0.1, 0, 0.2, 0.5, 0.9, 1])
CHOI_H = np.array([1, 4, 1, 1, 9, 1, 1, 0.25])
STARTS = ['linear', 'density', 'random']

values = st.lists(
  st.one_of(st.sampled_from([0.0, 0.5, 1.0, -2.0]), st.floats(-10, 10)),
  min_size=1,
  max_size=9,
)


def brute_force(w, k, h):
  """The least distortion over all ways to cut the sorted weights."""
  order = np.argsort(w)
  w, h = w[order].astype(np.float64), h[order]
  cost = lambda x, m: np.sum(m * (x - np.sum(m * x) / max(m.sum(), 1e-30)) ** 2)
  split = lambda cuts: sum(
    cost(w[a:b], h[a:b]) for a, b in itertools.pairwise([0, *cuts, w.size])
  )
  parts = min(k, w.size) - 1
  cuts = itertools.combinations(range(1, w.size), parts)
  return min(split(c) for c in cuts)


def distortion(w, found, h=1.0):
  errors = w.astype(np.float64) - found.centers[found.codes]
  return np.sum(h * np.square(errors))


@pytest.mark.parametrize('start', [None, 'linear'])
def test_figure_3_of_deep_compression(start):
  found = kmeans_1d(HAN, 4, start=start)
  np.testing.assert_allclose(found.centers, [-1, 0, 1.5, 2], atol=1e-6)
  np.testing.assert_array_equal(
    found.codes, [[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]]
  )
  assert found.distortion == pytest.approx(0.0932, abs=1e-6)
  assert type(found.distortion) is float


@pytest.mark.parametrize(
  'k, h, want, centers',
  [
    (2, CHOI_H, 0.9610189, [-0.68, 0.2528302]),
    (2, None, 1.0575, [-0.425, 0.65]),
    (3, CHOI_H, 0.3352727, [-0.68, 0.1545455, 0.7333333]),
    (3, None, 0.2666667, [-0.8, 0.033333, 0.8]),
  ],
)
def test_hessian_weighted_centers(k, h, want, centers):
  found = kmeans_1d(CHOI, k, weights=h)
  np.testing.assert_allclose(found.centers, centers, atol=1e-6)
  assert found.distortion == pytest.approx(want, abs=1e-6)


@given(values, st.integers(1, 10), st.data())
def test_exact_is_the_best_of_all_partitions(w, k, data):
  w = np.asarray(w, np.float32)
  weight = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))
  h = data.draw(st.lists(weight, min_size=w.size, max_size=w.size))
  h = np.asarray(h) if any(h) else np.ones(w.size)
  found = kmeans_1d(w, k, weights=h)
  tolerance = 1e-12 * (1 + np.sum(h * np.square(w)))
  assert found.distortion == pytest.approx(
    brute_force(w, k, h), rel=1e-4, abs=tolerance
  )
  assert found.distortion == pytest.approx(
    distortion(w, found, h), rel=1e-6, abs=tolerance
  )


@given(values, st.integers(1, 10), st.sampled_from(STARTS))
def test_any_start_gives_a_valid_clustering_without_empty_clusters(w, k, start):
  w = np.asarray(w, np.float32)
  found = kmeans_1d(w, k, start=start)
  distinct = np.unique(w).size
  assert found.centers.shape == (k,) and found.codes.shape == w.shape
  assert np.isfinite(found.centers).all()
  assert (np.diff(found.centers) >= 0).all()
  assert np.unique(found.codes).size == min(k, distinct)
  assert found.distortion >= brute_force(w, k, np.ones(w.size)) - 1e-9
  if k >= distinct:
    np.testing.assert_array_equal(found.centers[found.codes], w)


def test_a_fixed_point_of_lloyd():
  w = np.random.default_rng(0).standard_normal(30_000).astype(np.float32)
  found = kmeans_1d(w, 40)
  nearest = np.abs(w[:, None] - found.centers).argmin(1)
  np.testing.assert_array_equal(found.codes, nearest)
  means = [w[found.codes == i].mean(dtype=np.float64) for i in range(40)]
  np.testing.assert_allclose(found.centers, means, atol=1e-6)


def test_many_centers():
  w = np.random.default_rng(0).standard_normal(70_000).astype(np.float32)
  few, many = kmeans_1d(w, 3000), kmeans_1d(w, 65536)
  assert many.distortion < few.distortion < 3e-6 * w.size
  assert many.codes.dtype == np.uint16


def test_weight_zero_is_coded_but_moves_nothing():
  w = np.array([0.0, 1.0, 10.0, 11.0, 4.0, 99.0])
  found = kmeans_1d(w, 2, weights=np.array([1, 1, 1, 1, 0, 0]))
  np.testing.assert_array_equal(found.centers, [0.5, 10.5])
  np.testing.assert_array_equal(found.codes, [0, 0, 1, 1, 0, 1])


def test_scale_of_the_importance_does_not_matter():
  for scale in (1e-200, 1e200):
    found = kmeans_1d(CHOI, 3, weights=CHOI_H * scale)
    assert found.distortion == pytest.approx(0.3352727 * scale, rel=1e-6)


def test_importances_of_very_different_size_stay_finite():
  w = np.arange(20.0)
  found = kmeans_1d(w, 5, weights=10.0 ** (-4 * np.arange(20)))
  assert np.isfinite(found.centers).all()
  assert np.all(np.diff(found.centers) > 0)


@pytest.mark.parametrize('dtype', [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize('k, code', [(256, np.uint8), (257, np.uint16)])
def test_dtypes(dtype, k, code):
  w = jnp.linspace(-1, 1, 600).astype(dtype).reshape(2, 300)
  found = kmeans_1d(w, k)
  assert found.centers.dtype == np.float32 and found.codes.dtype == code
  assert found.codes.shape == w.shape


def test_the_same_seed_gives_the_same_clustering():
  w = np.random.default_rng(0).standard_normal(2000)
  run = lambda seed: kmeans_1d(w, 30, start='random', seed=seed)
  np.testing.assert_array_equal(run(3).centers, run(3).centers)
  assert not np.array_equal(run(3).centers, run(4).centers)


@pytest.mark.parametrize(
  'arguments, message',
  [
    (dict(w=np.zeros(0)), 'empty'),
    (dict(w=np.array([1.0, np.nan])), 'NaN'),
    (dict(w=np.array([1.0, np.inf])), 'inf'),
    (dict(w=np.array([1.0, 1e60])), 'float32'),
    (dict(k=0), 'k is 0'),
    (dict(k=65537), '65536'),
    (dict(weights=np.zeros(8)), 'all zero'),
    (dict(weights=-CHOI_H), '>= 0'),
    (dict(weights=CHOI_H * np.nan), 'weights has NaN'),
    (dict(weights=CHOI_H[:4]), r'shape \(4,\)'),
    (dict(start='kmeans++'), "'density'"),
    (dict(method='fast'), "'lloyd'"),
    (dict(method='exact', start='linear'), 'no start'),
  ],
)
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    kmeans_1d(**{'w': CHOI, 'k': 2, **arguments})


def test_weights_far_from_zero():
  w = 1000 + np.random.default_rng(0).standard_normal(40_000) * 1e-2
  w = w.astype(np.float32).reshape(200, 200)
  found = kmeans_1d(w, 16)
  near = kmeans_1d(w - np.float32(1000), 16)
  np.testing.assert_array_equal(found.codes, near.codes)
  assert found.distortion == pytest.approx(near.distortion, rel=1e-2)

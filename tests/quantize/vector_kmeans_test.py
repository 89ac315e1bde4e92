import itertools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.quantize import vector_kmeans as module
from jcompress.quantize.vector_kmeans import vector_kmeans


def distances(x, centers):
  x, centers = np.asarray(x, np.float64), np.asarray(centers, np.float64)
  return np.square(x[:, None] - centers).sum(-1)


def optimum(x, k, h):
  """The least distortion of all partitions."""
  least = np.inf
  for codes in itertools.product(range(k), repeat=len(x) - 1):
    codes = np.array([0, *codes])
    total = 0.0
    for j in set(codes):
      mine, weight = x[codes == j], h[codes == j]
      if weight.any():
        mean = np.average(mine, axis=0, weights=weight)
        total += (weight * np.square(mine - mean).sum(1)).sum()
    least = min(least, total)
  return least


@pytest.mark.parametrize(
  ('n', 'k', 'is_weighted'), [(7, 3, False), (7, 3, True), (6, 4, False)]
)
def test_the_best_of_several_seeds_is_the_best_partition(n, k, is_weighted):
  rng = np.random.default_rng(n + k)
  x = rng.standard_normal((n, 2)).astype(np.float32)
  h = rng.random(n).astype(np.float32) if is_weighted else np.ones(n)
  found = [
    float(vector_kmeans(x, k, weights=h, seed=seed).distortion)
    for seed in range(12)
  ]
  best = optimum(x, k, h)
  assert min(found) >= best * (1 - 1e-5)
  np.testing.assert_allclose(min(found), best, rtol=1e-5)


def test_the_end_is_a_fixed_point_of_lloyd():
  x = jax.random.normal(jax.random.key(0), (200, 2))
  centers, codes, distortion = vector_kmeans(x, 9, iterations=500)
  squares = distances(x, centers)
  np.testing.assert_array_equal(codes, squares.argmin(1))
  np.testing.assert_allclose(distortion, squares.min(1).sum(), rtol=1e-5)
  for j in range(9):
    mean = np.asarray(x)[codes == j].mean(0)
    np.testing.assert_allclose(centers[j], mean, atol=1e-5)


def test_the_distortion_falls_with_the_iterations():
  x = jax.random.normal(jax.random.key(0), (200, 2))
  steps = [vector_kmeans(x, 9, iterations=i).distortion for i in range(4)]
  assert (np.diff(steps) < 0).all()


def test_clusters_that_lie_apart_are_found():
  rng = np.random.default_rng(0)
  middles = rng.permutation(20)[:, None] * np.array([10.0, -20.0, 5.0])
  x = (middles[:, None] + rng.standard_normal((20, 10, 3))).reshape(-1, 3)
  codes = np.asarray(vector_kmeans(x, 20).codes).reshape(20, 10)
  assert (codes == codes[:, :1]).all() and len(set(codes[:, 0])) == 20


@given(st.integers(1, 12), st.integers(0, 99))
def test_as_many_centers_as_distinct_vectors_are_exact(distinct, seed):
  rng = np.random.default_rng(seed)
  rows = np.float32(rng.standard_normal((distinct, 2)))
  x = rows[rng.integers(0, distinct, 20)]
  centers, codes, distortion = vector_kmeans(x, 12)
  assert distortion == 0
  np.testing.assert_array_equal(np.asarray(centers)[codes], x)
  assert len(np.unique(codes)) == len(np.unique(x, axis=0))


@pytest.mark.parametrize('scale', [1e-30, 1.0, 1e30])
def test_neighbouring_floats_are_told_apart_at_any_scale(scale):
  x = np.float32(scale) * np.float32([3, 1, 2, 2, 1])[:, None]
  x[3] = np.nextafter(x[2], np.float32(np.inf))
  centers, codes, distortion = vector_kmeans(x, 4)
  assert distortion == 0
  np.testing.assert_array_equal(np.asarray(centers)[codes], x)


def test_fewer_vectors_than_centers_repeat_centers():
  x = np.float32([[1, 2], [3, 4], [1, 2]])
  centers, codes, distortion = vector_kmeans(x, 5)
  assert centers.shape == (5, 2) and distortion == 0
  assert {tuple(c) for c in centers.tolist()} == {(1, 2), (3, 4)}
  assert codes[0] == codes[2] != codes[1] and max(codes) == 1


def test_a_small_sample_finds_rare_vectors_all_the_same():
  x = np.zeros((3000, 2), np.float32)
  x[::500] = 1 + np.arange(12).reshape(6, 2)
  sampled = vector_kmeans(x, 7, samples=1)  # looks at 28 of 3,000
  assert sampled.distortion == 0
  np.testing.assert_array_equal(np.asarray(sampled.centers)[sampled.codes], x)


def test_a_sample_is_enough_for_the_start():
  x = jax.random.normal(jax.random.key(0), (200, 2))
  few, all_ = (vector_kmeans(x, 9, samples=n) for n in (50, 200))
  assert few.distortion != all_.distortion
  np.testing.assert_allclose(few.distortion, all_.distortion, rtol=0.1)


def test_importance_counts_like_repetition():
  x = np.float32([[0, 0], [1, 0], [5, 5], [6, 5]])
  centers, _, distortion = vector_kmeans(x, 2, weights=np.array([3, 1, 1, 0.5]))
  centers = sorted(centers.tolist())
  np.testing.assert_allclose(centers, [[0.25, 0], [16 / 3, 5]], rtol=1e-6)
  np.testing.assert_allclose(distortion, 3 / 4 + 1 / 3, rtol=1e-6)


def test_vectors_of_no_importance_are_coded_but_move_nothing():
  x = np.float32([[0, 0], [1, 0], [5, 5], [90, 90]])
  found = vector_kmeans(x, 2, weights=np.array([1.0, 1, 1, 0]))
  centers = np.asarray(found.centers)
  assert sorted(centers.tolist()) == [[0.5, 0], [5, 5]]
  np.testing.assert_array_equal(centers[found.codes[3]], [5, 5])
  np.testing.assert_allclose(found.distortion, 0.5)


@pytest.mark.parametrize('scale', [1e-30, 1e30])
def test_importance_may_have_any_scale(scale):
  x = np.random.default_rng(0).standard_normal((7, 2))
  h = np.arange(1, 8, dtype=np.float32)
  plain = vector_kmeans(x, 3, weights=h)
  scaled = vector_kmeans(x, 3, weights=np.float32(scale) * h)
  np.testing.assert_array_equal(plain.codes, scaled.codes)
  np.testing.assert_allclose(
    scaled.distortion, scale * np.float64(plain.distortion), rtol=1e-4
  )


def test_blocks_are_clustered_each_by_itself():
  x = jax.random.normal(jax.random.key(0), (3, 7, 2))
  h = jax.random.uniform(jax.random.key(1), (3, 7))
  together = vector_kmeans(x, 3, weights=h, seed=4)
  assert together.centers.shape == (3, 3, 2)
  for b in range(3):
    alone = vector_kmeans(x[b], 3, weights=h[b], seed=4)
    np.testing.assert_array_equal(together.codes[b], alone.codes)
    np.testing.assert_allclose(together.centers[b], alone.centers, rtol=1e-6)


def test_memory_does_not_grow_with_vectors_times_centers():
  n, k = 2**20, 256
  x = jax.ShapeDtypeStruct((1, n, 4), jnp.float32)
  marks = np.zeros((k, 2), np.float32)
  sample = np.zeros(1024, np.int32)
  compiled = module._cluster_blocks.lower(x, None, marks, sample, 5).compile()
  # All distances at once would take a gigabyte.
  assert compiled.memory_analysis().temp_size_in_bytes < 250e6


def test_the_seed_decides():
  x = jax.random.normal(jax.random.key(0), (200, 2))
  one, same, other = (vector_kmeans(x, 9, seed=s) for s in (1, 1, 2))
  np.testing.assert_array_equal(one.centers, same.centers)
  assert not np.array_equal(one.centers, other.centers)


def test_codes_take_two_bytes_only_where_they_must():
  x = jnp.zeros((2, 1))
  dtype = lambda k: jax.eval_shape(lambda x: vector_kmeans(x, k).codes, x).dtype
  assert dtype(256) == np.uint8 and dtype(257) == np.uint16


def test_half_precision_is_clustered_in_float32():
  x = jax.random.normal(jax.random.key(0), (200, 2), jnp.bfloat16)
  found, want = vector_kmeans(x, 9), vector_kmeans(x.astype(jnp.float32), 9)
  np.testing.assert_array_equal(found.centers, want.centers)


@pytest.mark.parametrize(
  ('x', 'arguments', 'message'),
  [
    (np.zeros(3), {}, 'shape .3,.; it must be'),
    (np.zeros((0, 3)), {}, 'with some vectors'),
    (np.zeros((3, 0)), {}, 'of some length'),
    (np.full((2, 2), np.nan), {}, 'x has NaN'),
    (np.full((2, 2), 1e300), {}, 'beyond float32'),
    (np.zeros((2, 2)), {'k': 0}, 'k is 0'),
    (np.zeros((2, 2)), {'k': 65537}, 'k is 65537'),
    (np.zeros((2, 2)), {'iterations': -1}, 'iterations is -1'),
    (np.zeros((2, 2)), {'samples': 0}, 'samples is 0'),
    (np.zeros((2, 2)), {'weights': np.ones(3)}, 'one for each vector'),
    (np.zeros((2, 2)), {'weights': np.zeros(2)}, 'not all zero'),
    (np.zeros((2, 2)), {'weights': np.array([1, -1])}, '>= 0'),
    (np.zeros((2, 2)), {'weights': np.array([1, np.inf])}, 'weights has NaN'),
  ],
)
def test_bad_input_is_refused(x, arguments, message):
  with pytest.raises(ValueError, match=message):
    vector_kmeans(x, **{'k': 2, **arguments})

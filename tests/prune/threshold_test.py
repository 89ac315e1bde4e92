import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.numerics import counts
from jcompress.prune import threshold

kth_largest, largest_mask = map(
  jax.jit, (threshold.kth_largest, threshold.largest_mask)
)
entries = st.one_of(
  st.sampled_from([0.0, 0.5, 1.0, 1.5]),
  st.floats(0, 2.0**100, width=32),
)
# Of few sizes, each of which is compiled.
scores = st.sampled_from([1, 2, 7, 40]).flatmap(
  lambda n: st.lists(entries, min_size=n, max_size=n)
)


@given(scores, st.data())
def test_keeps_exactly_the_largest_with_ties(values, data):
  keep = data.draw(st.integers(0, len(values)))
  x = np.asarray(values, np.float32)
  got = np.asarray(largest_mask(jnp.asarray(x), keep))
  best = np.argsort(-x, kind='stable')[:keep]
  np.testing.assert_array_equal(np.flatnonzero(got), np.sort(best))


@given(scores, st.data())
def test_kth_largest_is_the_entry_of_that_rank(values, data):
  k = data.draw(st.integers(1, len(values)))
  x = np.asarray(values, np.float32)
  assert kth_largest(jnp.asarray(x), k) == np.sort(x)[::-1][k - 1]


@given(scores, st.floats(0, 2.0**100, width=32), st.data())
def test_a_guess_changes_nothing(values, guess, data):
  keep = data.draw(st.integers(0, len(values)))
  x = jnp.asarray(values, jnp.float32)
  np.testing.assert_array_equal(
    largest_mask(x, keep, guess), largest_mask(x, keep)
  )


def test_ranks_a_tree_as_one_population():
  tree = {'a': jnp.array([3.0, 1.0]), 'b': jnp.array([[2.0], [3.0]])}
  got = largest_mask(tree, 3)
  np.testing.assert_array_equal(got['a'], [True, False])
  np.testing.assert_array_equal(got['b'], [[True], [True]])


def test_equal_scores_are_kept_from_the_front_across_leaves():
  tree = {'a': jnp.ones(3), 'b': jnp.ones(3)}
  got = largest_mask(tree, 4)
  np.testing.assert_array_equal(got['a'], [True, True, True])
  np.testing.assert_array_equal(got['b'], [True, False, False])


@given(st.integers(0, 3**6), st.data())
def test_ties_are_taken_in_order_of_leaves_rows_and_places(seed, data):
  shapes = [(3, 4), (), (2, 2, 3), (5,), (0, 2)]
  rng = np.random.default_rng(seed)
  x = [rng.integers(0, 3, shape).astype(np.float32) for shape in shapes]
  flat = np.concatenate([np.ravel(leaf) for leaf in x])
  keep = data.draw(st.integers(0, flat.size))
  got = np.concatenate([np.ravel(m) for m in largest_mask(x, keep)])
  best = np.argsort(-flat, kind='stable')[:keep]
  np.testing.assert_array_equal(np.flatnonzero(got), np.sort(best))


def test_nothing_is_above_the_threshold_of_rank_zero():
  assert jnp.isinf(kth_largest(jnp.ones(3), 0))
  assert not largest_mask(jnp.ones(3), 0).any()


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_scores_rank_as_themselves(dtype):
  x = jnp.array([1.0, 1.0078125, 0.5, 2.0], dtype)
  np.testing.assert_array_equal(largest_mask(x, 2), [False, True, False, True])


def test_a_subnormal_outranks_zero():
  x = jnp.array([0.0, 1e-40, 0.0])
  np.testing.assert_array_equal(largest_mask(x, 1), [False, True, False])


def test_counts_are_exact_on_a_layer_under_jit_and_vmap():
  x = jax.random.normal(jax.random.key(0), (2, 300, 100)).round(1)
  mask = jax.jit(jax.vmap(largest_mask))(jnp.abs(x), jnp.array([1234, 29999]))
  np.testing.assert_array_equal(mask.sum((1, 2)), [1234, 29999])


def test_counts_of_more_than_2_to_the_31_weights_are_64_bits_wide(monkeypatch):
  like = [jax.ShapeDtypeStruct((2**30, 3), jnp.float32)] * 2
  masks = jax.eval_shape(lambda x: threshold.largest_mask(x, 2**32), like)
  assert [(m.shape, m.dtype) for m in masks] == [((2**30, 3), bool)] * 2
  monkeypatch.setattr(counts, '_WIDE_FROM', 5)
  x = [jnp.array([3.0, 1.0, 2.0]), jnp.array([2.0, 2.0, 0.0])]
  for keep in range(7):
    found = np.concatenate(threshold.largest_mask(x, keep))
    best = np.argsort(-np.concatenate(x), kind='stable')[:keep]
    np.testing.assert_array_equal(np.flatnonzero(found), np.sort(best))
  assert threshold.kth_largest(x, 4) == 2 and threshold.kth_largest(x, 5) == 1


def test_with_factors_magnitudes_are_ranked_as_if_they_were_there():
  rng = np.random.default_rng(0)
  weights = {'a': rng.standard_normal((9, 4)), 'b': rng.standard_normal(30)}
  weights = jax.tree.map(lambda x: jnp.asarray(x, 'bfloat16'), weights)
  factors = {'a': jnp.float32(0.3), 'b': jnp.float32(1.7)}
  scores = jax.tree.map(
    lambda x, f: jnp.abs(x.astype('float32')) * f, weights, factors
  )
  for keep in (0, 1, 20, 65, 66):
    found = largest_mask(weights, keep, None, factors)
    jax.tree.map(
      np.testing.assert_array_equal, found, largest_mask(scores, keep)
    )

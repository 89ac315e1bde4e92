"""Tests of importances of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.quantize.importance import (
  live_importance,
  require_importance_fits,
  second_moment,
)

PARAMS = {
  'a': {'kernel': jnp.ones((2, 3)), 'bias': jnp.zeros(3)},
  'b': {'kernel': jnp.ones((3, 1))},
}


def adam_after_a_step(compressor):
  tx = optax.chain(optax.clip_by_global_norm(1e9), optax.adam(0.1, b2=0.75))
  latent, _ = compressor.init(PARAMS)
  grads = jax.tree.map(lambda x: jnp.full_like(x, -3), latent)
  return tx.update(grads, tx.init(latent))[1]


@pytest.mark.parametrize(
  'compressor', [jc.identity(), jc.select(jc.KERNELS, jc.magnitude_prune(0.5))]
)
def test_the_second_moment_has_the_paths_of_the_params(compressor):
  got = second_moment(adam_after_a_step(compressor))
  assert jax.tree.structure(got) == jax.tree.structure(PARAMS)
  for h, w in zip(jax.tree.leaves(got), jax.tree.leaves(PARAMS), strict=True):
    np.testing.assert_allclose(h, np.full(w.shape, 1.5))  # sqrt(9 / 4)


def test_states_without_one_second_moment_are_refused():
  with pytest.raises(ValueError, match='no second moment'):
    second_moment(optax.sgd(0.1, momentum=0.9).init(PARAMS))
  state = optax.adam(0.1).init(PARAMS)
  with pytest.raises(ValueError, match='several'):
    second_moment((state, state))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'c': jnp.ones(2)}, "leaves .*'c'"),
    ({'b': {'kernel': jnp.ones(3)}}, r'b/kernel has the shape \[3\]'),
    ({'b': {'kernel': jnp.array([[1], [np.nan], [1]])}}, 'b/kernel has NaN'),
    ({'b': {'kernel': jnp.zeros((3, 1))}}, 'b/kernel is nowhere positive'),
    ({'b': {'kernel': -jnp.ones((3, 1))}}, 'b/kernel is nowhere positive'),
  ],
)
def test_importances_that_do_not_fit_are_refused(change, message):
  good = jax.tree.map(jnp.ones_like, PARAMS)
  require_importance_fits(good, PARAMS)
  with pytest.raises(ValueError, match=message):
    require_importance_fits(good | change, PARAMS)


def test_empty_arrays_need_no_positive_importance():
  empty = {'a': jnp.zeros((0, 4))}
  require_importance_fits(empty, empty)


def test_what_is_not_positive_becomes_a_millionth_of_the_mean():
  leaves = {'a': np.array([4.0, -9.0, 0.0]), 'b': np.array([[8.0, 5.0]])}
  live = [np.array([True, True, True]), np.array([[True, False]])]
  np.testing.assert_allclose(live_importance(leaves, live), [4, 3e-6, 3e-6, 8])


def test_only_weights_that_are_not_zero_need_a_positive_importance():
  with pytest.raises(ValueError, match='No weight'):
    live_importance([np.array([1.0, 0.0])], [np.array([False, True])])
  assert not live_importance([np.ones(2)], [np.zeros(2, bool)]).size

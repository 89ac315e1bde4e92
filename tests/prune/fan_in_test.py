"""Tests of initial weights of sparse networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc


def test_each_unit_makes_up_for_its_own_inputs():
  w = jnp.arange(1.0, 9.0).reshape(4, 2)
  mask = jnp.array([[1, 0], [0, 0], [0, 0], [0, 0]], bool)
  got = jc.scale_to_fan_in({'a': w, 'b': w[0]}, {'a': mask, 'b': w[0] > 0})
  np.testing.assert_allclose(got['a'], 2 * w)  # a unit without inputs too
  np.testing.assert_array_equal(got['b'], w[0])
  assert jc.scale_to_fan_in({'a': w}, {'a': None})['a'] is w


def test_responses_are_as_large_as_those_of_the_dense_network():
  keys = jax.random.split(jax.random.key(0), 3)
  w = jax.random.normal(keys[0], (3, 3, 40, 60)) / (9 * 40) ** 0.5
  mask = jax.random.uniform(keys[1], w.shape) < 0.05
  x = jax.random.normal(keys[2], (500, 9 * 40))
  variance = lambda w: float(jnp.var(x @ w.reshape(-1, 60)))
  scaled = jc.scale_to_fan_in(w, mask)
  assert abs(variance(scaled * mask) / variance(w) - 1) < 0.1
  assert variance(w * mask) < 0.1 * variance(w)


def test_a_mask_of_another_shape_is_refused():
  with pytest.raises(ValueError, match=r'\[2, 2\] does not fit a kernel \[3'):
    jc.scale_to_fan_in(jnp.ones((3, 2)), jnp.ones((2, 2), bool))


def test_rigl_may_start_so():
  w = jax.random.normal(jax.random.key(0), (30, 20))
  plain, state = jc.rigl(0.9, end=10).init(w)
  scaled, same = jc.rigl(0.9, end=10, scale_start=True).init(w)
  np.testing.assert_array_equal(state.mask, same.mask)
  want = jc.scale_to_fan_in(w, state.mask) * state.mask
  np.testing.assert_array_equal(scaled, want)
  assert (plain[state.mask] == w[state.mask]).all()

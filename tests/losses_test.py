import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress import losses

OUTPUTS = jnp.array([[0.5, -2.0, 0.2]])
TARGETS = jnp.array([[1.0, -1.0, -1.0]])


def test_squared_hinge_and_its_gradient():
  loss, grad = jax.value_and_grad(losses.squared_hinge)(OUTPUTS, TARGETS)
  np.testing.assert_allclose(loss, 0.5633333, rtol=1e-6)
  np.testing.assert_allclose(grad, [[-1 / 3, 0, 0.8]], rtol=1e-6)


def test_loss_is_a_mean_over_batch_and_classes():
  twice = losses.squared_hinge(
    jnp.tile(OUTPUTS, (2, 1)), jnp.tile(TARGETS, (2, 1))
  )
  np.testing.assert_allclose(twice, 0.5633333, rtol=1e-6)


def test_the_relative_error_of_a_tree_is_a_mean_over_its_arrays():
  wanted = {'a': jnp.array([3.0, 4.0]), 'b': jnp.array([[2.0]])}
  outputs = {'a': jnp.array([3.0, 3.0]), 'b': jnp.array([[4.0]])}
  found = losses.relative_error(outputs, wanted)
  np.testing.assert_allclose(found, (1 / 25 + 4 / 4) / 2, rtol=1e-6)
  assert losses.relative_error(wanted, wanted) == 0
  zeros = jnp.zeros(2)
  assert losses.relative_error(zeros + 1, zeros) == 2  # nothing to divide by
  for other in ({'a': outputs['a']}, wanted | {'b': jnp.ones(2)}):
    with pytest.raises(ValueError, match='arrays of the same shapes'):
      losses.relative_error(other, wanted)


def test_targets_of_labels_are_signs():
  got = losses.signed_one_hot(jnp.array([2, 0]), 3)
  np.testing.assert_array_equal(got, [[-1, -1, 1], [1, -1, -1]])


def test_targets_of_another_shape_are_refused():
  with pytest.raises(ValueError, match='signed_one_hot'):
    losses.squared_hinge(OUTPUTS, jnp.array([2.0]))


def test_penalties_and_their_gradients():
  params = {
    'a': {'kernel': jnp.array([3.0, -4.0, 0.0], jnp.bfloat16)},
    'b': {'kernel': jnp.array([[1.0]]), 'bias': jnp.ones(2)},
  }
  one, slope = jax.value_and_grad(losses.l1)(params)
  two, pull = jax.value_and_grad(losses.l2)(params)
  assert (one.dtype, float(one), float(two)) == (jnp.float32, 8.0, 13.0)
  np.testing.assert_array_equal(slope['a']['kernel'], [1, -1, 0])
  np.testing.assert_array_equal(pull['a']['kernel'], params['a']['kernel'])
  assert not slope['b']['bias'].any() and not pull['b']['bias'].any()
  assert losses.l1(params, '.*/bias') == 2
  with pytest.raises(ValueError, match='matches no leaf'):
    losses.l2(params, 'c/.*')


def test_penalties_in_a_step_leave_pruned_weights_alone():
  comp = jc.with_mask({'kernel': jnp.array([True, False, True])})
  params = {'kernel': jnp.array([1.0, 2.0, -3.0])}
  loss_fn = lambda p, x: 0.5 * losses.l1(p, 'kernel') + x * losses.l2(p, '.*')
  tx = optax.sgd(0.1)
  ts = jc.init_train_state(comp, tx, params)
  ts, metrics = jc.train_step(loss_fn, comp, tx)(ts, jnp.float32(2))
  assert metrics['loss'] == 0.5 * 4 + 2 * 5
  np.testing.assert_allclose(
    ts.latent['kernel'], [1 - 0.25, 2, -3 + 0.65], rtol=1e-6
  )

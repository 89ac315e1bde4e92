import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_targets_of_labels_are_signs():
  got = losses.signed_one_hot(jnp.array([2, 0]), 3)
  np.testing.assert_array_equal(got, [[-1, -1, 1], [1, -1, -1]])


def test_targets_of_another_shape_are_refused():
  with pytest.raises(ValueError, match='signed_one_hot'):
    losses.squared_hinge(OUTPUTS, jnp.array([2.0]))

import numpy as np
import pytest

from jcompress.prune.inverse_factor import factor_inverse

HESSIAN = np.array([[4.0, 2, 0], [2, 3, 1], [0, 1, 8]])


def test_the_factor_is_that_of_the_inverse():
  found = factor_inverse(HESSIAN, 3, 0.0)
  np.testing.assert_allclose(
    found.factor.T @ found.factor, np.linalg.inv(HESSIAN)
  )
  np.testing.assert_array_equal(found.order, [0, 1, 2])
  assert not np.tril(found.factor, -1).any() and found.added == 0


def test_sorted_inputs_of_the_largest_curvature_come_first():
  found = factor_inverse(HESSIAN, 3, 0.1, sort=True)
  np.testing.assert_array_equal(found.order, [2, 0, 1])
  assert found.added == pytest.approx(0.5)
  np.testing.assert_array_equal(found.hessian, HESSIAN)
  damped = HESSIAN + 0.5 * np.eye(3)
  np.testing.assert_array_equal(found.damped, damped)
  turned = damped[[2, 0, 1]][:, [2, 0, 1]]
  np.testing.assert_allclose(
    found.factor @ turned @ found.factor.T, np.eye(3), atol=1e-12
  )
  assert not np.tril(found.factor, -1).any()


def test_dead_inputs_come_last_and_touch_nothing():
  hessian = np.diag([0.0, 2, 5])
  found = factor_inverse(hessian, 3, 0.01, sort=True)
  np.testing.assert_array_equal(found.order, [2, 1, 0])
  np.testing.assert_array_equal(found.dead, [True, False, False])
  assert not found.singular and found.factor[2, 2] > 1e10


def test_its_root_is_there_without_an_inverse():
  found = factor_inverse(HESSIAN, 3, 0.1, sort=True)
  turned = found.damped[[2, 0, 1]][:, [2, 0, 1]]
  np.testing.assert_allclose(found.root @ found.root.T, turned, atol=1e-12)
  assert not np.tril(found.root, -1).any()


def test_what_has_an_inverse_by_its_damping_alone_is_singular():
  x = np.array([[1.0, 2, 3]])
  assert factor_inverse(x.T @ x, 3, 0.1).singular
  assert not factor_inverse(HESSIAN, 3, 0.1).singular

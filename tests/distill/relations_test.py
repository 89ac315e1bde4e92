import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jcompress as jc

A = jnp.arange(24, dtype=jnp.float32).reshape(2, 2, 2, 3) / 10 - 1
B = jnp.asarray(np.random.RandomState(0).randn(2, 2, 2, 4).astype(np.float32))
F1 = jnp.asarray(np.random.RandomState(1).randn(1, 4, 4, 2).astype(np.float32))
F2 = jnp.asarray(np.random.RandomState(2).randn(1, 2, 2, 3).astype(np.float32))


def test_relations_of_three_examples():
  """A triangle of sides 3, 4, 5 against an equilateral one."""
  student = jnp.array([[0.0, 0], [3, 0], [0, 4]])
  teacher = jnp.array([[0.0, 0], [1, 0], [0.5, 3**0.5 / 2]])
  got = jc.distill.relational(student, teacher, 1.0, 0.0)
  # Both directions of each side, of nine pairs; the mean of the sides is 4.
  want = 2 * (0.25**2 + 0 + 0.25**2) / 2 / 9
  np.testing.assert_allclose(got, want, rtol=1e-5)
  got = jc.distill.relational(student, teacher, 0.0, 1.0)
  cosines = np.array([0.0, 3 / 5, 4 / 5])
  want = 2 * np.square(cosines - 0.5).sum() / 2 / 27
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_examples_that_coincide_have_a_finite_gradient():
  same = jnp.ones((3, 2))
  loss, grad = jax.value_and_grad(jc.distill.relational)(
    same, B.reshape(-1, 2)[:3]
  )
  assert np.isfinite(loss) and np.isfinite(grad).all()


def test_the_gradient_by_finite_differences_and_none_of_the_teacher():
  f = jc.distill.relational
  of_student = lambda a: f(jnp.asarray(a), B)
  check_grads(of_student, (A + 0.05,), 1, ['rev'], 2e-2, 2e-2, 1e-2)
  assert not jax.grad(f, argnums=1)(A, B).any()


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='has 2 examples, the teacher 1'):
    jc.distill.relational(A, F1)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

Z = jnp.array([[1.0, 2, 0.5], [0.2, -0.3, 0.1]])
OTHER = jnp.array([[0.0, 1, 1], [0.5, 0.5, 0]])
LABELS = jnp.array([0, 2])


def test_two_students():
  got = jc.distill.mutual(jnp.stack([Z, OTHER]), LABELS)
  want = [1.3913017176210587, 1.7839141969195933]
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_the_gradient_of_a_student_takes_the_other_for_constant():
  f = lambda both: jc.distill.mutual(both, LABELS).sum()
  grad = jax.grad(f)(jnp.stack([Z, OTHER]))
  p, q = jax.nn.softmax(Z), jax.nn.softmax(OTHER)
  hot = jax.nn.one_hot(LABELS, 3)
  np.testing.assert_allclose(grad[0], ((p - hot) + (p - q)) / 2, atol=1e-6)
  np.testing.assert_allclose(grad[1], ((q - hot) + (q - p)) / 2, atol=1e-6)


def test_of_three_students_each_has_the_mean_of_two_teachers():
  pair = lambda a, b: jc.distill.mutual(jnp.stack([a, b]), LABELS)[0]
  third = Z[::-1]
  got = jc.distill.mutual(jnp.stack([Z, OTHER, third]), LABELS)[0]
  want = (pair(Z, OTHER) + pair(Z, third)) / 2
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_one_student_has_no_other():
  with pytest.raises(ValueError, match='There are 1 students'):
    jc.distill.mutual(Z[None], LABELS)

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jcompress as jc
from jcompress.distill.pooling import pooled

A = jnp.arange(24, dtype=jnp.float32).reshape(2, 2, 2, 3) / 10 - 1
B = jnp.asarray(np.random.RandomState(0).randn(2, 2, 2, 4).astype(np.float32))
F1 = jnp.asarray(np.random.RandomState(1).randn(1, 4, 4, 2).astype(np.float32))
F2 = jnp.asarray(np.random.RandomState(2).randn(1, 2, 2, 3).astype(np.float32))


def test_the_flow_matrix_of_maxima():
  got = jc.distill.flow_matrix(F1, F2)[0]
  want = [[0.454619, -0.961311, -0.956260], [-0.318375, 0.152074, 0.715834]]
  np.testing.assert_allclose(got, want, atol=1e-6)
  small, _ = pooled(jnp.asarray(F1), jnp.asarray(F2), jnp.mean)
  means = jc.distill.flow_matrix(small, F2)[0]
  want = [[0.362003, -0.483988, -0.772976], [-0.523421, 0.734071, 1.154196]]
  np.testing.assert_allclose(means, want, atol=1e-6)


def test_flow_is_the_distance_of_matrices():
  g = jc.distill.flow_matrix(F1, F2)
  got = jc.distill.flow((F1, F2), (2 * F1, F2))
  np.testing.assert_allclose(got, np.square(g).sum(), rtol=1e-5)


def test_the_gradient_by_finite_differences_and_none_of_the_teacher():
  f = lambda a, b: jc.distill.flow((a, a), (b[..., :3], b[..., :3]))
  of_student = lambda a: f(jnp.asarray(a), B)
  check_grads(of_student, (A + 0.05,), 1, ['rev'], 2e-2, 2e-2, 1e-2)
  assert not jax.grad(f, argnums=1)(A, B).any()


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='as many channels'):
    jc.distill.flow((F1, F2), (F1, F1))

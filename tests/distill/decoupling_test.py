import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

Z = jnp.array([[1.0, 2, 0.5], [0.2, -0.3, 0.1]])
V = jnp.array([[2.0, 1, 0], [1.5, -0.5, -1]])
LABELS = jnp.array([0, 2])


@pytest.mark.parametrize(
  'temperature, target, others, both',
  [
    (1.0, 0.3316086837499146, 0.09548344562674237, 1.0954762487638536),
    (4.0, 0.34514331202232196, 0.1508486559042363, 1.5519325592562123),
  ],
)
def test_decoupled_parts(temperature, target, others, both):
  f = lambda a, b: jc.distill.decoupled(Z, V, LABELS, a, b, temperature)
  np.testing.assert_allclose(f(1, 0), target, rtol=1e-5)
  np.testing.assert_allclose(f(0, 1), others, rtol=1e-5)
  np.testing.assert_allclose(f(1, 8), both, rtol=1e-5)


def test_the_gradient_of_decoupled():
  grad = jax.grad(jc.distill.decoupled)(Z, V, LABELS)
  want = [-0.20685, 0.610435, -0.403585]
  np.testing.assert_allclose(grad[0], want, atol=1e-6)


def test_soft_targets_are_the_parts_weighted_by_the_teacher():
  one = lambda f: f(Z[:1], V[:1])
  p = float(jax.nn.softmax(V[0])[0])
  part = lambda a, b: one(
    lambda z, v: jc.distill.decoupled(z, v, LABELS[:1], a, b, 1.0)
  )
  whole = one(lambda z, v: jc.distill.soft_targets(z, v, 1.0))
  np.testing.assert_allclose(part(1, 1 - p), whole, rtol=1e-5)


def test_two_classes_have_no_others():
  with pytest.raises(ValueError, match='There are 2 classes'):
    jc.distill.decoupled(Z[:, :2], V[:, :2], LABELS)

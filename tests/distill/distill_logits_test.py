import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import jcompress as jc

Z = jnp.array([[1.0, 2, 0.5], [0.2, -0.3, 0.1]])
V = jnp.array([[2.0, 1, 0], [1.5, -0.5, -1]])
LABELS = jnp.array([0, 2])
LOSSES = {
  'soft_targets': jc.distill.soft_targets,
  'logit_l2': jc.distill.logit_l2,
  'decoupled': lambda z, v: jc.distill.decoupled(z, v, LABELS),
}
each_loss = pytest.mark.parametrize('name', LOSSES)


@pytest.mark.parametrize(
  'temperature, value',
  [
    (1.0, 0.413892141610261),
    (2.0, 0.4618465780073837),
    (4.0, 0.45570338305375013),
    (20.0, 0.4332886530816914),
  ],
)
def test_soft_targets_and_their_gradient(temperature, value):
  loss, grad = jax.value_and_grad(jc.distill.soft_targets)(Z, V, temperature)
  np.testing.assert_allclose(loss, value, rtol=1e-5)
  q, p = (jax.nn.softmax(x / temperature) for x in (Z, V))
  np.testing.assert_allclose(grad, temperature * (q - p) / 2, atol=1e-6)


def test_the_gradient_at_temperature_4_and_of_high_temperature():
  grad = lambda t: jax.grad(jc.distill.soft_targets)(Z, V, t)[0]
  np.testing.assert_allclose(grad(4), [-0.20685, 0.158009, 0.048841], atol=1e-6)
  # Close to that of the loss of centered logits: -0.194444, 0.138889, 0.055556.
  hot = [-0.194502, 0.13897, 0.055532]
  np.testing.assert_allclose(grad(1e3), hot, atol=4e-5)
  value = jc.distill.soft_targets(Z, V, 1e3)
  np.testing.assert_allclose(value, 0.4255555, rtol=1e-3)


def test_beside_labels():
  hard = 1.2425982198306023
  soft = jc.distill.soft_targets(Z, V, 4.0)
  np.testing.assert_allclose(0.1 * hard + 0.9 * soft, 0.534393, atol=1e-6)


def test_a_teacher_that_is_sure_gives_labels():
  sure = 1e4 * jax.nn.one_hot(LABELS, 3)
  np.testing.assert_allclose(
    jc.distill.soft_targets(Z, sure, 1.0), 1.2425982198306023, rtol=1e-6
  )


def test_weights_leave_examples_out_and_may_all_be_zero():
  one = jc.distill.soft_targets(Z[:1], V[:1])
  weighted = jc.distill.soft_targets(Z, V, weights=jnp.array([1.0, 0.0]))
  np.testing.assert_allclose(weighted, one, rtol=1e-6)
  f = lambda z: jc.distill.soft_targets(z, V, weights=jnp.zeros(2))
  loss, grad = jax.value_and_grad(f)(Z)
  assert loss == 0 and not grad.any()


def test_a_class_that_the_teacher_excludes():
  excluded = V.at[:, 1].set(-jnp.inf)
  loss, grad = jax.value_and_grad(jc.distill.soft_targets)(Z, excluded)
  assert np.isfinite(loss) and np.isfinite(grad).all()


def test_logit_l2_and_its_gradient():
  loss, grad = jax.value_and_grad(jc.distill.logit_l2)(Z, V)
  np.testing.assert_allclose(loss, 1.2975, rtol=1e-6)
  np.testing.assert_allclose(grad[0], [-0.5, 0.5, 0.25], rtol=1e-6)


@each_loss
def test_finite_differences(name):
  f = lambda z: LOSSES[name](jnp.asarray(z), V)
  check_grads(f, (Z,), 1, ['rev'], atol=1e-2, rtol=1e-2, eps=1e-2)


@each_loss
def test_the_teacher_gets_no_gradient(name):
  assert not jax.grad(LOSSES[name], argnums=1)(Z, V).any()


@each_loss
def test_large_and_half_precision_logits_are_finite(name):
  for scale, dtype in ((500, jnp.float32), (100, jnp.float16)):
    z, v = ((scale * x).astype(dtype) for x in (Z, V))
    loss, grad = jax.value_and_grad(LOSSES[name])(z, v)
    assert loss.dtype == jnp.float32 and np.isfinite(loss)
    assert np.isfinite(grad).all()


@each_loss
def test_logits_of_other_shapes_are_refused(name):
  with pytest.raises(ValueError, match='both must be logits'):
    LOSSES[name](Z, V[:, :2])


@pytest.mark.parametrize('name', ['soft_targets', 'decoupled'])
def test_a_temperature_is_positive(name):
  labels = () if name == 'soft_targets' else (LABELS,)
  with pytest.raises(ValueError, match='temperature is 0'):
    getattr(jc.distill, name)(Z, V, *labels, temperature=0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([1.0, 3.0]))
def test_a_student_that_is_its_teacher_has_no_loss(seed, temperature):
  z = jax.random.normal(jax.random.key(seed), (4, 5)) * 3
  shifted = z + 7.0
  loss = jc.distill.soft_targets(z, shifted, temperature)
  np.testing.assert_allclose(loss, 0, atol=1e-5)
  other = z[::-1]
  assert jc.distill.soft_targets(z, other, temperature) > 0

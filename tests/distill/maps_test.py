"""Attention, flow and relations: of positions, channels and examples."""

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
MAP_LOSSES = {
  'attention': jc.distill.attention,
  'flow': lambda a, b: jc.distill.flow((a, a), (b[..., :3], b[..., :3])),
  'relational': jc.distill.relational,
}
each_loss = pytest.mark.parametrize('name', MAP_LOSSES)


@pytest.mark.parametrize(
  'p, value, row',
  [
    (1, 0.02636267160382664, [0.800373, 0.533582, 0.266791, 0.059287]),
    (2, 0.06286708298883313, [0.906972, 0.407212, 0.107356, 0.007404]),
    (4, 0.15388286996525186, [0.978669, 0.204764, 0.016724, 0.000095]),
  ],
)
def test_attention_and_its_maps(p, value, row):
  got = jc.distill.attention(A, B, p)
  np.testing.assert_allclose(got, value, rtol=1e-5)
  maps = jc.distill.attention_map(A, p)
  np.testing.assert_allclose(maps[0], row, atol=1e-6)
  summed = np.square(maps - jc.distill.attention_map(B, p)).sum(1).mean()
  np.testing.assert_allclose(got, summed / 4, rtol=1e-5)


@pytest.mark.parametrize('p', [1, 2, 3])
def test_a_map_of_zeros_has_a_finite_gradient(p):
  zeros = jnp.zeros_like(A)
  loss, grad = jax.value_and_grad(jc.distill.attention)(zeros, B, p)
  np.testing.assert_allclose(loss, 0.25, rtol=1e-5)
  assert np.isfinite(grad).all()


def test_attention_knows_no_scale_and_does_not_overflow():
  for scale in (1e-15, 1e15):
    got = jc.distill.attention(scale * A, B, 4)
    np.testing.assert_allclose(got, 0.15388287, rtol=1e-4)


def test_attention_to_a_larger_map_is_to_its_means():
  large = jnp.asarray(
    np.random.RandomState(5).randn(2, 4, 4, 4).astype(np.float32)
  )
  means = large.reshape(2, 2, 2, 2, 2, 4).mean((2, 4))
  want = jc.distill.attention(A, means)
  np.testing.assert_allclose(jc.distill.attention(A, large), want, rtol=1e-5)
  want = jc.distill.attention(means, A)
  np.testing.assert_allclose(jc.distill.attention(large, A), want, rtol=1e-5)


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


@each_loss
def test_gradients_of_maps_by_finite_differences(name):
  f = lambda a: MAP_LOSSES[name](jnp.asarray(a), B)
  check_grads(f, (A + 0.05,), 1, ['rev'], atol=2e-2, rtol=2e-2, eps=1e-2)


@each_loss
def test_the_teachers_maps_get_no_gradient(name):
  assert not jax.grad(MAP_LOSSES[name], argnums=1)(A, B).any()


def test_maps_that_do_not_fit_are_refused():
  with pytest.raises(ValueError, match='p is 0'):
    jc.distill.attention(A, B, 0)
  with pytest.raises(ValueError, match=r'positions \(3, 2\), the other'):
    jc.distill.attention(jnp.ones((2, 3, 2, 1)), B)
  with pytest.raises(ValueError, match=r'positions \(4,\)'):
    jc.distill.attention(jnp.ones((2, 4, 1)), B)
  with pytest.raises(ValueError, match='as many channels'):
    jc.distill.flow((F1, F2), (F1, F1))
  with pytest.raises(ValueError, match='has 2 examples, the teacher 1'):
    jc.distill.relational(A, F1)

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


def test_the_gradient_by_finite_differences_and_none_of_the_teacher():
  f = jc.distill.attention
  of_student = lambda a: f(jnp.asarray(a), B)
  check_grads(of_student, (A + 0.05,), 1, ['rev'], 2e-2, 2e-2, 1e-2)
  assert not jax.grad(f, argnums=1)(A, B).any()


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='p is 0'):
    jc.distill.attention(A, B, 0)
  with pytest.raises(ValueError, match=r'positions \(3, 2\), the other'):
    jc.distill.attention(jnp.ones((2, 3, 2, 1)), B)
  with pytest.raises(ValueError, match=r'positions \(4,\)'):
    jc.distill.attention(jnp.ones((2, 4, 1)), B)

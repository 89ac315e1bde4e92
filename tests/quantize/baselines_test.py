import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

W = jnp.array([[0.5, -2.0, 0.0], [1.5, -0.0, -1e-9]])
SIGNS = np.array([[1, -1, 1], [1, 1, -1]])


def test_signs_of_the_paper_are_plus_and_minus_one():
  comp = jc.sign_quantize()
  np.testing.assert_array_equal(comp.view(*comp.init(W)), SIGNS)


def test_the_mean_is_the_best_scale():
  w = jax.random.normal(jax.random.key(0), (30, 20))
  comp = jc.sign_quantize('mean')
  scale, signs = comp.init(w)
  np.testing.assert_allclose(scale, np.abs(w).mean(), rtol=1e-6)
  error = lambda s: float(np.square(comp.view(s, signs) - w).sum())
  assert error(scale) < min(error(scale * 0.99), error(scale * 1.01))


def test_one_bit_a_weight_and_a_scale():
  comp = jc.sign_quantize()
  w = jnp.ones((64, 64))
  assert comp.encode(*comp.init(w)).bits() == w.size + 32


def test_the_gradient_of_the_scale_is_summed_in_float32():
  w = jnp.ones(600, jnp.bfloat16)
  comp = jc.sign_quantize('mean')
  scale, signs = comp.init(w)
  loss = lambda s: comp.view(s, signs).astype(jnp.float32).sum()
  assert scale.dtype == jnp.bfloat16 and scale == 1
  # A sum in bfloat16 would stop at 256.
  np.testing.assert_allclose(float(jax.grad(loss)(scale)), 600, rtol=0.01)
  grad = jax.grad(lambda s: jnp.vdot(comp.view(s, SIGNS > 0), W))(1.0)
  np.testing.assert_allclose(grad, np.abs(W).sum(), rtol=1e-6)


def test_an_unknown_scale_is_refused():
  with pytest.raises(ValueError, match="scale is 'max'"):
    jc.sign_quantize('max')


@pytest.mark.parametrize('rank', [1, 3, 5])
def test_the_error_of_a_rank_is_the_tail_of_singular_values(rank):
  w = jax.random.normal(jax.random.key(0), (8, 5))
  values = np.linalg.svd(np.asarray(w, np.float64), compute_uv=False)
  comp = jc.truncated_svd(rank)
  factors, state = comp.init(w)
  error = np.square(np.asarray(comp.view(factors, state), np.float64) - w).sum()
  np.testing.assert_allclose(
    error, np.square(values[rank:]).sum(), rtol=1e-4, atol=1e-9
  )
  norms = [np.linalg.norm(factors.value.left, axis=0), values[:rank] ** 0.5]
  np.testing.assert_allclose(*norms, rtol=1e-5)  # both factors have a half


def test_kernels_are_folded_before_their_last_axis():
  w = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
  comp = jc.truncated_svd(5)
  factors, state = comp.init(w)
  left, right = factors.value
  assert left.shape == (2, 3, 4, 5) and right.shape == (5, 5)
  np.testing.assert_allclose(comp.view(factors, state), w, atol=1e-5)
  flat = jc.truncated_svd(2)
  np.testing.assert_allclose(
    flat.view(*flat.init(w)),
    flat.view(*flat.init(w.reshape(24, 5))).reshape(w.shape),
    atol=1e-5,
  )


@pytest.mark.parametrize(
  ('rank', 'ratio'), [(64, 32), (128, 16), (256, 8), (512, 4)]
)
def test_ratios_of_low_rank(rank, ratio):
  m = n = 4096
  factors = np.zeros((m, rank), np.float32), np.zeros((rank, n), np.float32)
  leaf = jc.encoded.LowRank(*factors, (m, n))
  assert 32 * m * n / leaf.bits() == ratio
  with_values = m * n / (rank * (m + n + 1))  # as printed, S on its own
  np.testing.assert_allclose(with_values, ratio, rtol=2e-4)


def test_factors_survive_the_file():
  comp = jc.truncated_svd(3)
  latent, state = comp.init(jax.random.normal(jax.random.key(0), (3, 4, 6)))
  read = jc.unpack(jc.pack(comp.encode(latent, state))).tree
  np.testing.assert_array_equal(jc.decode(read), comp.view(latent, state))


@pytest.mark.parametrize('rank', [0, -1])
def test_ranks_below_one_are_refused(rank):
  with pytest.raises(ValueError, match=f'rank is {rank}'):
    jc.truncated_svd(rank)


def test_ranks_beyond_the_weight_are_refused():
  with pytest.raises(ValueError, match=r'folded to \(6, 4\), allows 1 .. 4'):
    jc.truncated_svd(5).init(jnp.ones((2, 3, 4)))


def test_a_weight_without_two_axes_is_refused():
  with pytest.raises(ValueError, match='two axes or more'):
    jc.truncated_svd(1).init(jnp.ones(3))


@pytest.mark.parametrize('scale', ['one', 'mean'])
def test_float64_scales_are_shown_in_all_their_bits(scale):
  with jax.enable_x64(True):
    comp = jc.sign_quantize(scale)
    _, state = comp.init(jnp.array([0.5, -2.0]))
    third = jnp.array(1 / 3)
    assert third.dtype == 'float64'
    np.testing.assert_array_equal(
      comp.view(third, state), jc.decode(comp.encode(third, state))
    )

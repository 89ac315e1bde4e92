import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.ops import dorefa_activation, dorefa_gradient

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])
G = jnp.array([1, -2, 0.5, 0, 3, -1])


@pytest.mark.parametrize(
  ('bits', 'want'),
  [
    (2, [1 / 3, -1, 1 / 3, -1 / 3, 1, -1 / 3]),
    (3, [3 / 7, -5 / 7, 1 / 7, -1 / 7, 1, -1 / 7]),
    (1, np.array([1, -1, 1, -1, 1, -1]) * 0.4166667),
  ],
)
def test_levels_of_weights(bits, want):
  comp = jc.dorefa_weights(bits)
  latent, state = comp.init(W)
  np.testing.assert_allclose(comp.view(latent, state), want, rtol=1e-6)
  assert len(np.unique(comp.encode(latent, state).codes)) <= 2**bits


def gradient(bits, w):
  comp = jc.dorefa_weights(bits)
  latent, state = comp.init(w)
  return jax.grad(lambda l: jnp.vdot(comp.view(l, state), G))(latent)


def test_gradient_has_that_of_tanh_and_holds_the_maximum():
  want = [1.097741, -1.522788, 0.598272, 0, 1.097649, -1.187622]
  np.testing.assert_allclose(gradient(2, W), want, rtol=1e-6)
  np.testing.assert_array_equal(gradient(1, W), G)


@pytest.mark.parametrize('bits', [1, 2])
def test_zeros_have_a_level_and_no_gradient_and_do_not_count(bits):
  w = W.at[3].set(0)
  comp = jc.dorefa_weights(bits)
  latent, state = comp.init(w)
  moved = comp.view(latent + 0.01, state)
  assert moved[3] == 0 and (jnp.delete(moved, 3) != 0).all()
  others = jc.dorefa_weights(bits)
  alone = others.view(*others.init(jnp.delete(w, 3)))
  np.testing.assert_allclose(
    jnp.delete(comp.view(latent, state), 3), alone, rtol=1e-6
  )
  assert gradient(bits, w)[3] == 0


@pytest.mark.parametrize('bits', [1, 2])
def test_an_infinite_weight_is_not_shipped_as_a_one(bits):
  comp = jc.dorefa_weights(bits)
  latent, state = comp.init(W)
  with pytest.raises(ValueError, match='NaN or inf'):
    comp.encode(latent.at[0].set(jnp.inf), state)


def test_wide_codes_take_two_bytes():
  codes = lambda bits: (
    jc.dorefa_weights(bits).encode(*jc.dorefa_weights(bits).init(W)).codes
  )
  assert codes(7).dtype == jnp.int8 and codes(7).max() == 127
  assert codes(8).dtype == jnp.int16 and codes(8).max() == 255


def test_activations_of_two_bits():
  x = jnp.array([-0.2, 0.1, 0.17, 0.4, 0.5, 0.9, 1.4])
  want = [0, 0, 1 / 3, 1 / 3, 2 / 3, 1, 1]
  np.testing.assert_allclose(dorefa_activation(x, 2), want, rtol=1e-6)
  ends = jnp.array([-0.1, 0, 0.5, 1, 1.1])
  grad = jax.grad(lambda x: dorefa_activation(x, 2).sum())(ends)
  np.testing.assert_array_equal(grad, [0, 1, 1, 1, 0])


def quantized(grad, bits, seed=0):
  f = lambda x: dorefa_gradient(x, bits, jax.random.key(seed))
  y, pull = jax.vjp(f, jnp.full_like(grad, 7))
  np.testing.assert_array_equal(y, np.full(grad.shape, 7))
  return pull(grad)[0]


def test_gradients_are_right_in_the_mean_on_levels_of_each_example():
  draws, bits = 100_000, 2
  one = jnp.array([0.3, -0.7, 0.05, 0.0])
  grad = jnp.tile(one, (draws, 1)).at[1].multiply(10)
  got = np.asarray(quantized(grad, bits), np.float64)
  levels = np.array([-1, -1 / 3, 1 / 3, 1]) * 0.7
  assert (abs(got[2:, :, None] - levels).min(-1) < 1e-6).all()
  assert (abs(got[1, :, None] - 10 * levels).min(-1) < 1e-5).all()
  rows = np.delete(got, 1, 0)
  error = rows.std(0) / np.sqrt(len(rows))
  assert (abs(rows.mean(0) - one) <= 5 * error + 1e-6).all()
  assert (rows[:, 1] == np.float32(-0.7)).all()  # the largest is exact


def test_a_key_gives_one_draw_and_another_key_another():
  grad = jax.random.normal(jax.random.key(9), (20, 3, 3))
  np.testing.assert_array_equal(quantized(grad, 3), quantized(grad, 3))
  assert (quantized(grad, 3) != quantized(grad, 3, seed=1)).any()


def test_gradients_of_zero_stay_zero():
  np.testing.assert_array_equal(
    quantized(jnp.zeros((2, 3)), 2), np.zeros((2, 3))
  )


def test_all_three_work_together_in_a_jitted_gradient():
  comp = jc.dorefa_weights(2)
  latent, state = comp.init(W.reshape(2, 3))
  x = jnp.array([[0.2, 0.9], [0.6, 0.1]])

  @jax.jit
  def grads(latent, key):
    def loss(latent):
      y = dorefa_activation(x, 2) @ comp.view(latent, state)
      return (dorefa_gradient(y, 4, key) ** 2).sum()

    return jax.grad(loss)(latent)

  keys = jax.random.split(jax.random.key(0), 2000)
  mean = jax.vmap(lambda k: grads(latent, k))(keys).mean(0)

  def plain(latent):
    return ((dorefa_activation(x, 2) @ comp.view(latent, state)) ** 2).sum()

  np.testing.assert_allclose(mean, jax.grad(plain)(latent), atol=0.03)


def test_bad_bits_are_refused():
  for bits in (0, 16):
    with pytest.raises(ValueError, match=f'bits is {bits}'):
      jc.dorefa_weights(bits)
  for bits in (0, 17):
    with pytest.raises(ValueError, match=f'bits is {bits}'):
      dorefa_activation(W, bits)
    with pytest.raises(ValueError, match=f'bits is {bits}'):
      dorefa_gradient(W[None], bits, jax.random.key(0))

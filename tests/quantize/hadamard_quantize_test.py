import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.normal_grid import normal_error, normal_grid


def heavy(shape=(300, 64), seed=0):
  """Weights with outliers."""
  rng = np.random.default_rng(seed)
  return jnp.asarray(0.02 * rng.standard_t(6, shape), jnp.float32)


def quantized(w, *arguments, **options):
  comp = jc.hadamard_quantize(*arguments, **options)
  return comp.encode(*comp.init(w))


def error(w, leaf):
  return float(jnp.sum((leaf.decode() - w) ** 2) / jnp.sum(w**2))


@pytest.mark.parametrize('bits', [1, 2, 3, 4])
def test_the_error_is_that_of_normal_weights_whatever_they_are(bits):
  w = heavy()
  want = normal_error(np.array(normal_grid(bits)))
  assert error(w, quantized(w, bits)) == pytest.approx(want, rel=0.06)
  if bits > 1:
    line = jc.linear_quantize(bits, tile=64, calibration='mse')
    assert error(w, quantized(w, bits)) < 0.8 * error(
      w, line.encode(*line.init(w))
    )


def test_a_piece_of_two_by_hand():
  w = jnp.array([[3.0], [1.0]])
  leaf = quantized(w, 1, block=2)
  # The rotated weights are +-4 and +-2 by the root of 2, their size root 5.
  size = np.float32(5**0.5).astype(jnp.bfloat16)
  np.testing.assert_array_equal(leaf.scale, [[size]])
  level = np.sqrt(2 / np.pi) * float(size) * np.sqrt(2)
  np.testing.assert_allclose(
    sorted(np.abs(leaf.decode()).ravel()), [0, level], rtol=1e-5, atol=1e-6
  )


def test_the_signs_depend_on_the_seed_alone():
  w = heavy((16, 4))
  a, b, c = (quantized(x, seed=s) for x, s in ((w, 0), (2 * w, 0), (w, 1)))
  np.testing.assert_array_equal(a.signs, b.signs)
  assert (a.signs != c.signs).any() and 2 < a.signs.sum() < 14
  np.testing.assert_array_equal(2 * a.decode(), b.decode())


def test_the_axis_of_a_convolution_are_its_input_channels():
  w = heavy((2, 3, 12, 5))
  leaf = quantized(w, 3, block=8)
  assert leaf.axis == 2 and leaf.scale.shape == (2, 3, 2, 5)
  alone = quantized(w[1, 2], 3, block=8)
  np.testing.assert_array_equal(leaf.decode()[1, 2], alone.decode())
  other = quantized(jnp.moveaxis(w, 2, 0), 3, block=8, axis=0)
  np.testing.assert_array_equal(
    jnp.moveaxis(other.decode(), 0, 2), leaf.decode()
  )


def test_files_have_little_beside_the_codes():
  w = heavy((512, 64))
  assert 8 * len(jc.pack(quantized(w, 4))) / w.size < 4.05


def test_gradients_pass_straight_through_and_zeros_stay_finite():
  comp = jc.hadamard_quantize()
  latent, state = comp.init(jnp.zeros((5, 2)))
  np.testing.assert_array_equal(comp.view(latent, state), jnp.zeros((5, 2)))
  grad = jax.grad(lambda l: jnp.sum(3 * comp.view(l, state)))(latent)
  np.testing.assert_array_equal(grad, jnp.full((5, 2), 3))


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 0}, 'bits is 0'),
    ({'block': 1}, 'block is 1'),
    ({'block': 48}, 'a power of two'),
    ({'seed': -1}, 'seed is -1'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.hadamard_quantize(**arguments)


def test_a_weight_without_the_axis_is_refused():
  for axis, shape in ((-2, (4,)), (2, (4, 3))):
    with pytest.raises(ValueError, match=f'axis is {axis}; a weight'):
      jc.hadamard_quantize(axis=axis).init(jnp.ones(shape))

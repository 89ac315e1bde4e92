import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.smooth import smooth_scales


def test_the_worked_example():
  # Xiao et al. 2022, figure 5: max|x| = 2, 16, 1, 2 and max|w| = 2, 1, 2, 1.
  x = np.array([[1.0, -16, 2, 6], [-2, 8, -1, -9]])
  w = np.array([[2.0, 1, -2], [1, -1, -1], [2, -1, -2], [-1, -1, 1]])
  s = smooth_scales(w, np.abs(x).max(0))
  np.testing.assert_allclose(s, [1, 4, 1, 3], rtol=1e-6)
  np.testing.assert_allclose((x / s) @ (w * s[:, None]), x @ w, rtol=1e-5)


@pytest.mark.parametrize('alpha', [0.0, 0.3, 1.0])
def test_alpha_says_who_gets_the_difficulty(alpha):
  rng = np.random.default_rng(0)
  w, x = rng.standard_normal((6, 4)), np.exp(rng.standard_normal(6))
  s = np.asarray(smooth_scales(w, x, alpha))
  after = x / s, np.abs(w).max(1) * s
  product = x * np.abs(w).max(1)
  np.testing.assert_allclose(after[0], product ** (1 - alpha), rtol=1e-5)
  np.testing.assert_allclose(after[1], product**alpha, rtol=1e-5)


def test_products_of_integers_come_closer():
  rng = np.random.default_rng(1)
  x = rng.standard_normal((200, 32))
  x[:, :2] *= 60
  w = rng.standard_normal((32, 8))
  s = np.asarray(smooth_scales(w, np.abs(x).max(0)))[:, None]

  def error(x, w):
    step = np.abs(x).max() / 127
    weights = jc.linear_quantize(8)
    w = weights.view(*weights.init(jnp.asarray(w, jnp.float32)))
    return np.sum((step * np.rint(x / step) @ np.asarray(w) - exact) ** 2)

  exact = x @ w
  assert error(x / s.T, w * s) < 0.2 * error(x, w)


def test_zeros_are_left_alone_and_kernels_of_convolutions_are_flat():
  w = np.zeros((1, 2, 2, 3))
  w[0, 0, 1], w[0, 1] = 4, 1
  s = smooth_scales(w, np.array([5.0, 16, 0, 9]))
  np.testing.assert_allclose(s, [1, 2, 1, 3], rtol=1e-6)
  assert s.dtype == jnp.float32


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match='alpha is 2'):
    smooth_scales(np.ones((2, 2)), np.ones(2), 2.0)
  with pytest.raises(ValueError, match=r'largest is \[3\]'):
    smooth_scales(np.ones((2, 2)), np.ones(3))
  with pytest.raises(ValueError, match='NaN or inf'):
    smooth_scales(np.full((2, 2), np.inf), np.ones(2))

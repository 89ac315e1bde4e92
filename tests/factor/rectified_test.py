import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.factor.rectified import rectified_factors, rectified_targets
from jcompress.factor.svd import response_factors

R = np.random.RandomState
W, B = jnp.float32(R(0).randn(6, 5)), jnp.float32([-2, -1, 0, -3, -1])
X = jnp.float32(R(1).randn(80, 6))
OTHER = X + 0.2 * jnp.float32(R(2).randn(80, 6))
Y = X @ W + B


def error(x, left, right, bias):
  missed = np.maximum(Y, 0) - np.maximum(x @ left @ right + bias, 0)
  return float(np.square(missed).sum())


@pytest.mark.parametrize(
  ('pull', 'want'),
  [
    (0.01, [0.00396, 0.492079, 1.990099, -2, 0.3]),
    (1.0, [0.2, -0.3, 1.5, -2, 0.3]),
  ],
)
def test_known_targets(pull, want):
  y = jnp.array([-1.0, 0.5, 2.0, -0.2, 0.3])
  m = jnp.array([0.4, -0.3, 1.0, -2.0, 0.3])
  np.testing.assert_allclose(
    rectified_targets(y, m, pull), want, rtol=1e-4, atol=1e-6
  )


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 10))
def test_no_other_target_costs_less(y, m, pull):
  y, m, pull = np.float32(y), np.float32(m), np.float32(pull)
  cost = lambda z: (max(y, 0) - np.maximum(z, 0)) ** 2 + pull * (z - m) ** 2
  z = float(rectified_targets(jnp.array(y), jnp.array(m), float(pull)))
  assert cost(z) <= cost(np.linspace(-4, 4, 401)).min() + 1e-4


@pytest.mark.parametrize('rank', [1, 2])
@pytest.mark.parametrize('x', [X, OTHER], ids=['own', 'after'])
def test_what_the_relu_hides_is_no_error(rank, x):
  y = None if x is X else Y
  linear = error(x, *response_factors(W, B, x, rank, y=y))
  found = rectified_factors(W, B, x, rank, y=y)
  assert error(x, *found) < 0.97 * linear
  assert (found[0].shape, found[1].shape) == ((6, rank), (rank, 5))


def test_a_full_rank_stays_as_it_is():
  found = rectified_factors(W, B, X, 5)
  assert error(X, *found) < 1e-4


def test_it_is_never_worse_on_its_rows():
  hidden = B - 50  # nothing is above zero: no response tells anything
  found = rectified_factors(W, hidden, X, 1, schedule=((1.0, 2),))
  assert not np.maximum(X @ found[0] @ found[1] + found[2], 0).any()
  linear = error(X, *response_factors(W, B, X, 4))
  short = rectified_factors(W, B, X, 4, schedule=((100.0, 1),))
  assert error(X, *short) <= linear


def test_convolutions_and_bad_pulls():
  kernel = W.reshape(1, 3, 2, 5)
  left, right, bias = rectified_factors(kernel, B, X, 2)
  assert (left.shape, right.shape) == ((1, 3, 2, 2), (1, 1, 2, 5))
  flat = rectified_factors(W, B, X, 2)
  np.testing.assert_allclose(left.reshape(6, 2), flat[0], atol=1e-5)
  with pytest.raises(ValueError, match='must be > 0'):
    rectified_factors(W, B, X, 2, schedule=((0.0, 3),))

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jcompress as jc

GUIDED = jnp.asarray(np.random.RandomState(3).randn(8, 3).astype(np.float32))
HINT = jnp.asarray(np.random.RandomState(4).randn(8, 5).astype(np.float32))


def test_a_regressor_of_zeros_and_the_best_one():
  zero = lambda x: jnp.zeros((8, 5))
  loss = jc.distill.hint(GUIDED, HINT, zero)
  np.testing.assert_allclose(loss, 2.646486458590118, rtol=1e-5)
  rows = np.concatenate([GUIDED, np.ones((8, 1), np.float32)], 1)
  best = np.linalg.lstsq(rows, HINT, rcond=None)[0]
  regressor = lambda x: x @ best[:3] + best[3]
  loss = jc.distill.hint(GUIDED, HINT, regressor)
  np.testing.assert_allclose(loss, 1.4186496086956009, rtol=1e-5)
  gradient = jax.grad(
    lambda m: jc.distill.hint(GUIDED, HINT, lambda x: x @ m + best[3])
  )(best[:3])
  np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_the_gradient_is_the_difference_and_the_teachers_is_zero():
  s, t = HINT, HINT[::-1]
  grads = jax.grad(jc.distill.hint, (0, 1))(s, t)
  np.testing.assert_allclose(grads[0], (s - t) / 8, atol=1e-6)
  assert not grads[1].any()
  check_grads(
    lambda x: jc.distill.hint(jnp.asarray(x), t),
    (s,),
    1,
    ['rev'],
    atol=1e-2,
    rtol=1e-2,
  )


def test_maps_are_summed_over_positions():
  s, t = HINT.reshape(2, 2, 2, 5), jnp.zeros((2, 2, 2, 5))
  loss = jc.distill.hint(s, t)
  np.testing.assert_allclose(loss, (HINT**2).sum() / 4, rtol=1e-5)


def test_units_that_are_kept():
  keep = jc.distill.select_neurons(np.asarray(HINT), 3)
  loss = jc.distill.hint(GUIDED, HINT, keep=keep)
  want = ((GUIDED - HINT[:, keep]) ** 2).sum() / 16
  np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_other_shapes_are_refused():
  with pytest.raises(ValueError, match=r'gives \(8, 3\), the teacher \(8, 5\)'):
    jc.distill.hint(GUIDED, HINT)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

HESSIAN = np.array(
  [[4.0, 2, 0, 0], [2, 3, 1, 0], [0, 1, 2, 0.5], [0, 0, 0.5, 1]]
)
PARAMS = {'a': jnp.array([1.0, 0.75]), 'b': jnp.array([[-0.5], [2.0]])}


def quadratic(hessian, traces=None):
  """A loss with its minimum at the params, and this Hessian."""

  def loss_fn(params, shift=0.0):
    if traces is not None:
      traces.append(shift)
    gap = [(params[k] - PARAMS[k]).ravel() for k in PARAMS]
    gap = jnp.concatenate(gap)
    return gap @ jnp.asarray(hessian, jnp.float32) @ gap / 2 + shift

  return loss_fn


def test_damage_is_foretold_exactly_without_cross_terms():
  diagonal = {'a': jnp.array([3.0, 8.0]), 'b': jnp.array([[13.0], [9.0]])}
  loss_fn = quadratic(np.diag([3.0, 8, 13, 9]))
  found = jc.obd_increase(loss_fn, PARAMS, diagonal, range(5))
  want = np.cumsum([0, 1.5, 1.625, 2.25, 18])
  np.testing.assert_array_equal(found.removed, range(5))
  np.testing.assert_array_equal(found.predicted, want)
  np.testing.assert_allclose(found.measured, want, rtol=1e-6)


def test_damage_does_not_see_cross_terms():
  h = np.diagonal(HESSIAN).astype(np.float32)
  diagonal = {'a': jnp.array(h[:2]), 'b': jnp.array(h[2:, None])}
  found = jc.obd_increase(quadratic(HESSIAN), PARAMS, diagonal, [1, 2, 4])
  w = np.array([1, 0.75, -0.5, 2])
  whole = w @ HESSIAN @ w / 2
  np.testing.assert_allclose(found.predicted[-1], w**2 @ h / 2, rtol=1e-6)
  np.testing.assert_allclose(found.measured[-1], whole, rtol=1e-6)
  # One weight alone has none.
  np.testing.assert_allclose(found.predicted[0], found.measured[0], rtol=1e-6)
  assert abs(found.predicted[1] - found.measured[1]) > 0.3


@pytest.mark.parametrize('together', [1, 2])
def test_surgery_is_foretold_exactly_with_cross_terms(together):
  traces = []
  loss_fn = quadratic(HESSIAN, traces)
  inverse = np.linalg.inv(HESSIAN)
  found = jc.obs_increase(
    loss_fn, PARAMS, inverse, [0, 1, 2, 3, 4], 5.0, together=together
  )
  assert len(traces) == 1
  np.testing.assert_allclose(found.measured, found.predicted, atol=1e-6)
  assert (np.diff(found.predicted) > 0).all()
  w = np.array([1, 0.75, -0.5, 2])
  np.testing.assert_allclose(found.predicted[-1], w @ HESSIAN @ w / 2)


def test_surgery_raises_the_loss_less_than_damage():
  rng = np.random.default_rng(0)
  root = rng.normal(size=(12, 12))
  hessian = root @ root.T / 12 + 0.1 * np.eye(12)
  w = jnp.asarray(rng.normal(size=12), jnp.float32)
  h = jnp.asarray(hessian, jnp.float32)
  loss_fn = lambda x: (x - w) @ h @ (x - w) / 2
  damage = jc.obd_increase(loss_fn, w, jnp.diagonal(h), [3, 6, 9])
  surgery = jc.obs_increase(loss_fn, w, np.linalg.inv(hessian), [3, 6, 9])
  assert (surgery.measured < damage.measured).all()
  np.testing.assert_allclose(surgery.measured, surgery.predicted, rtol=1e-4)


def test_a_logistic_loss_is_foretold_for_few_weights_and_not_for_all():
  x = jax.random.normal(jax.random.key(0), (2000, 8))
  logits = x @ jnp.array([0.1, -0.2, 0.2, 0.3, 1, -1.5, 2, 3])
  y = jax.random.bernoulli(jax.random.key(1), jax.nn.sigmoid(logits))

  def loss_fn(w, x, y):
    return jnp.mean(jnp.logaddexp(0, jnp.where(y, -1, 1) * (x @ w)))

  @jax.jit
  def newton(x, y):
    hessian = lambda w: jax.hessian(loss_fn)(w, x, y)
    step = lambda w, _: (
      w - jnp.linalg.solve(hessian(w), jax.grad(loss_fn)(w, x, y)),
      None,
    )
    w, _ = jax.lax.scan(step, jnp.zeros(8), length=10)
    return w, jnp.diagonal(hessian(w))

  w, diagonal = newton(x, y)
  found = jc.obd_increase(loss_fn, w, diagonal, [2, 4, 8], x, y)
  ratio = found.measured / found.predicted
  np.testing.assert_allclose(ratio[:2], 1, atol=0.05)
  assert abs(ratio[2] - 1) > 0.15


@pytest.mark.parametrize(
  ('counts', 'message'),
  [
    ([], 'give numbers in 0 .. 4'),
    ([5], 'give numbers in 0 .. 4'),
    ([-1], 'give numbers'),
    ([2, 1], 'sort them'),
  ],
)
def test_wrong_counts_are_refused(counts, message):
  with pytest.raises(ValueError, match=message):
    jc.obs_increase(quadratic(HESSIAN), PARAMS, np.eye(4), counts)

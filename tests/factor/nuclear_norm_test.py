import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

R = np.random.RandomState
W = jnp.float32(R(0).randn(4, 3))
S = np.array([3.468526, 2.079965, 0.760221])


def spectrum(w):
  return np.linalg.svd(np.asarray(w, np.float64), compute_uv=False)


def updated(comp, w, calls=1):
  latent, state = comp.init(w)
  for _ in range(calls):
    latent, state = comp.update(latent, state, w)
  return comp.view(latent, state)


def test_a_step_takes_the_rate_times_the_strength():
  for strength, rate in ((2.0, 0.25), (10.0, 0.1), (5.0, 0.5)):
    comp = jc.nuclear_norm(strength, learning_rate=rate)
    want = np.maximum(S - strength * rate, 0)
    np.testing.assert_allclose(spectrum(updated(comp, W)), want, atol=1e-5)
  one, two = (updated(comp, W, calls) for calls in (1, 2))
  assert np.linalg.matrix_rank(one, tol=1e-4) == 1
  assert spectrum(two)[0] < 1e-5


def test_every_few_steps_it_goes_as_far():
  comp = jc.nuclear_norm(1.0, learning_rate=0.1, every=3)
  for calls, cut in ((1, 0), (2, 0), (3, 0.3), (5, 0.3), (6, 0.6)):
    want = np.maximum(S - cut, 0)
    np.testing.assert_allclose(
      spectrum(updated(comp, W, calls)), want, atol=1e-5
    )


def test_rates_may_have_a_schedule():
  rate = optax.piecewise_constant_schedule(0.1, {1: 2.0})
  comp = jc.nuclear_norm(1.0, learning_rate=rate)
  np.testing.assert_allclose(
    spectrum(updated(comp, W, 2)), S - 0.1 - 0.2, atol=1e-5
  )


def test_convolutions_are_the_matrix_of_their_scheme():
  k = jnp.float32(R(1).randn(3, 2, 4, 5))
  fold = {
    'svd': lambda k: np.asarray(k).reshape(24, 5),
    'separable': lambda k: np.asarray(k).transpose(0, 2, 1, 3).reshape(12, 10),
  }
  for scheme, matrix in fold.items():
    comp = jc.nuclear_norm(1.0, learning_rate=1.0, scheme=scheme)
    got = updated(comp, k)
    want = np.maximum(spectrum(matrix(k)) - 1, 0)
    np.testing.assert_allclose(spectrum(matrix(got)), want, atol=1e-4)


def test_training_finds_the_rank_of_the_target():
  target = jnp.float32(R(2).randn(12, 2) @ R(3).randn(2, 9))
  noise = 0.3 * jnp.float32(R(4).randn(12, 9))
  comp = jc.nuclear_norm(3.0, learning_rate=0.1)
  loss = lambda w, batch: jnp.sum((w - target - noise) ** 2) / 2
  tx = optax.sgd(0.1)
  state = jc.init_train_state(comp, tx, jnp.float32(R(5).randn(12, 9)))
  step = jc.train_step(loss, comp, tx)
  for _ in range(60):
    state, _ = step(state, None)
  s = spectrum(comp.view(state.latent, state.state))
  assert (s > 1e-4 * s[0]).sum() == 2
  # The optimum is the prox of the target itself.
  want = np.maximum(spectrum(target + noise) - 3, 0)
  np.testing.assert_allclose(s, want, atol=0.05)


def test_what_is_shipped_are_dense_weights():
  comp = jc.nuclear_norm(1.0, learning_rate=1.0)
  latent, state = comp.init({'a': W})
  leaf = comp.encode(latent, state)['a']
  assert isinstance(leaf, jc.encoded.Dense)
  np.testing.assert_array_equal(leaf.decode(), W)


def test_bad_arguments_are_refused():
  for bad in (
    {'strength': -1.0, 'learning_rate': 0.1},
    {'strength': 1.0, 'learning_rate': np.inf},
    {'strength': 1.0, 'learning_rate': 0.1, 'every': 0},
    {'strength': 1.0, 'learning_rate': 0.1, 'scheme': 'tucker2'},
  ):
    with pytest.raises(ValueError, match='must be'):
      jc.nuclear_norm(**bad)
  with pytest.raises(ValueError, match=r'b/bias of shape \(3,\) is no kernel'):
    comp = jc.nuclear_norm(1.0, learning_rate=0.1)
    comp.init({'b': {'bias': jnp.ones(3)}})


def test_one_trace_serves_all_steps():
  comp = jc.nuclear_norm(1.0, learning_rate=0.1, every=2)
  traces = []

  @jax.jit
  def step(latent, state):
    traces.append(None)
    return comp.update(latent, state, latent)

  latent, state = comp.init(W)
  for _ in range(3):
    latent, state = step(latent, state)
  assert len(traces) == 1 and int(state.calls) == 3

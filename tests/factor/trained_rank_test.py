import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

R = np.random.RandomState
W = jnp.float32(R(0).randn(6, 4))  # rank 2 keeps .900926 of its energy


def spectrum(w):
  return np.linalg.svd(np.asarray(w, np.float64), compute_uv=False)


def updated(comp, w, calls):
  latent, state = comp.init(w)
  for _ in range(calls):
    latent, state = comp.update(latent, state, w)
  return latent, state


def test_every_few_calls_the_rank_falls_to_what_keeps_the_energy():
  for energy, rank in ((0.5, 1), (0.9, 2), (0.95, 3), (0.99, 4), (1.0, 4)):
    comp = jc.trained_rank(energy, every=3)
    free, _ = updated(comp, W, 2)
    np.testing.assert_array_equal(free, W)
    cut, _ = updated(comp, W, 3)
    s = spectrum(cut)
    np.testing.assert_allclose(s[:rank], spectrum(W)[:rank], rtol=1e-5)
    assert (s[rank:] < 1e-5).all()


def test_what_is_shipped_is_cut():
  comp = jc.trained_rank(0.9, every=3)
  latent, state = comp.init(W)
  leaf = comp.encode(latent, state)
  assert isinstance(leaf, jc.encoded.Dense)
  assert spectrum(leaf.decode())[2] < 1e-5
  np.testing.assert_array_equal(comp.view(latent, state), W)


def test_a_noisy_target_is_learned_at_its_rank():
  target = jnp.float32(R(2).randn(12, 2) @ R(3).randn(2, 9))
  noise = 0.1 * jnp.float32(R(4).randn(12, 9))
  comp, tx = jc.trained_rank(0.97, every=5), optax.sgd(0.2)
  loss = lambda w, batch: jnp.sum((w - target - noise) ** 2) / 2
  state = jc.init_train_state(comp, tx, jnp.float32(R(5).randn(12, 9)))
  step = jc.train_step(loss, comp, tx)
  for _ in range(60):
    state, _ = step(state, None)
  shipped = jc.decode(comp.encode(state.latent, state.state))
  s = spectrum(shipped)
  assert (s > 1e-4 * s[0]).sum() == 2
  assert jnp.linalg.norm(shipped - target) < 0.1 * jnp.linalg.norm(target)


def test_convolutions_are_the_matrix_of_their_scheme():
  k = jnp.float32(R(1).randn(3, 2, 4, 5))
  fold = lambda k: np.asarray(k).transpose(0, 2, 1, 3).reshape(12, 10)
  cut, _ = updated(jc.trained_rank(0.5, every=1, scheme='separable'), k, 1)
  rank = jc.energy_rank(spectrum(fold(k)), 0.5)
  s = spectrum(fold(cut))
  assert s[rank - 1] > 1e-2 and s[rank] < 1e-5


def test_bad_arguments_are_refused():
  for bad in ((0.0, 1), (1.1, 1), (0.5, 0)):
    with pytest.raises(ValueError, match='must be > 0 and at most 1'):
      jc.trained_rank(bad[0], every=bad[1])
  with pytest.raises(ValueError, match='scheme is'):
    jc.trained_rank(0.5, scheme='cp')
  with pytest.raises(ValueError, match=r'b/bias of shape \(3,\) is no kernel'):
    jc.trained_rank(0.5).init({'b': {'bias': jnp.ones(3)}})


def test_zeros_and_one_trace():
  comp = jc.trained_rank(0.5, every=2)
  traces = []

  @jax.jit
  def step(latent, state):
    traces.append(None)
    return comp.update(latent, state, latent)

  latent, state = comp.init(jnp.zeros((4, 3)))
  for _ in range(3):
    latent, state = step(latent, state)
  assert len(traces) == 1 and int(state.calls) == 3 and not latent.any()

import digits_net
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.base import Leaf
from jcompress.numerics import draws
from jcompress.prune.hard_concrete import (
  gate,
  open_probability,
  shipped_gate,
)

KEY = jax.random.key(0)
W = jnp.array([[0.5, -2.0, 0.0], [1.5, 0.0, 0.25]])


def with_log_alpha(latent, log_alpha):
  return Leaf(latent.value._replace(log_alpha=jnp.asarray(log_alpha)))


def test_a_gate_is_open_with_the_known_probability():
  np.testing.assert_allclose(
    open_probability(jnp.zeros(1)), 0.831822, atol=1e-6
  )
  log_alpha = jnp.array([-3.0, 0.0, 2.0])[:, None]
  z = np.asarray(gate(KEY, jnp.broadcast_to(log_alpha, (3, 20_000))))
  want = np.asarray(open_probability(log_alpha[:, 0]))
  error = 5 * np.sqrt(want * (1 - want) / z.shape[1])
  assert (np.abs((z != 0).mean(1) - want) < error).all()
  # z of log alpha and 1 - z of -log alpha have one distribution.
  shut = np.asarray(open_probability(-log_alpha[:, 0]))
  assert (np.abs((z == 1).mean(1) - (1 - shut)) < 0.02).all()
  assert ((z >= 0) & (z <= 1)).all()


def test_other_temperatures_and_stretches_move_the_probability():
  setting = 0.4, (-0.3, 1.2)
  log_alpha = jnp.full(20_000, -1.0)
  z = gate(KEY, log_alpha, *setting)
  want = open_probability(log_alpha[:1], *setting)
  np.testing.assert_allclose((z != 0).mean(), want[0], atol=0.02)


@pytest.mark.parametrize('beta', [2 / 3, 0.6])
def test_gates_and_their_gradient_are_those_of_the_formula(beta):
  log_alpha = jnp.linspace(-3.0, 3.0, 300)
  gamma, zeta = -0.2, 1.3

  def plain(log_alpha):
    u = draws.uniform(KEY, log_alpha.shape)
    s = jax.nn.sigmoid((jnp.log(u) - jnp.log1p(-u) + log_alpha) / beta)
    return jnp.clip(s * (zeta - gamma) + gamma, 0, 1)

  drawn = lambda log_alpha: gate(KEY, log_alpha, beta, (gamma, zeta))
  slopes = lambda f: jax.value_and_grad(lambda x: jnp.sum(f(x) ** 2))(log_alpha)
  for got, want in zip(slopes(drawn), slopes(plain), strict=True):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
  z = drawn(log_alpha)
  assert (z == 0).any() and (z == 1).any() and ((z > 0) & (z < 1)).any()


@pytest.mark.parametrize(
  ('axis', 'shape', 'members'),
  [
    (None, (2, 3), [[1, 1, 0], [1, 0, 1]]),
    (-1, (1, 3), [[2, 1, 1]]),
    (-2, (2, 1), [[2], [2]]),
    (0, (2, 1), [[2], [2]]),
  ],
)
def test_penalty_is_the_expected_count_of_weights(axis, shape, members):
  comp = jc.hard_concrete(0.5, axis=axis)
  latent, state = comp.init(W)
  assert latent.value.log_alpha.shape == shape
  log_alpha = jnp.arange(latent.value.log_alpha.size).reshape(shape) - 1.0
  latent = with_log_alpha(latent, log_alpha)
  chance = 1 / (1 + np.exp(-log_alpha + 2 / 3 * np.log(0.1 / 1.1)))
  want = 0.5 * np.sum(np.array(members) * chance)
  np.testing.assert_allclose(comp.penalty(latent, state), want, rtol=1e-5)


@pytest.mark.parametrize('axis', [-1, -2])
def test_weights_of_a_group_share_their_gate(axis):
  comp = jc.hard_concrete(1.0, axis=axis)
  latent, state = comp.init(jnp.ones((30, 20)))
  view = np.asarray(comp.view(latent, state))
  along = np.moveaxis(view, axis, 0).reshape(view.shape[axis], -1)
  assert (along == along[:, :1]).all()
  assert 0 < (along[:, 0] == 0).sum() < len(along)
  assert len(np.unique(along)) > 2


def test_gates_differ_between_steps_and_between_arrays():
  comp = jc.hard_concrete(1.0)
  latent, state = comp.init([jnp.ones(50), jnp.ones(50)])
  one, two = comp.view(latent, state)
  assert (one != two).any()
  latent, state = comp.update(latent, state, latent)
  assert (comp.view(latent, state)[0] != one).any()


def test_gates_start_by_their_dropout_and_stay_within_bounds():
  comp = jc.hard_concrete(1.0, dropout=0.2)
  latent, state = comp.init(W)
  np.testing.assert_allclose(latent.value.log_alpha, np.log(4), rtol=1e-6)
  far = with_log_alpha(latent, [[-9.0, 9.0, 0.5]] * 2)
  moved, _ = comp.update(far, state, latent)
  end = np.log(100)
  got = moved.value.log_alpha[0]
  np.testing.assert_allclose(got, [-end, end, 0.5], rtol=1e-6)


def test_what_ships_are_weights_times_gates_without_noise():
  comp = jc.hard_concrete(1.0)
  latent, state = comp.init(W)
  latent = with_log_alpha(latent, [[3.0, 0.0, 3.0], [-3.0, 3.0, 0.0]])
  shipped = comp.encode(latent, state)
  np.testing.assert_allclose(
    shipped.decode(), [[0.5, -1.0, 0.0], [0.0, 0.0, 0.125]]
  )
  np.testing.assert_array_equal(shipped.mask, [[1, 1, 0], [0, 0, 1]])
  halves = shipped_gate(jnp.array([0.5, -0.5]))
  np.testing.assert_allclose(halves.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'strength': -1.0}, 'strength is -1'),
    ({'dropout': 0.0}, 'dropout is 0.0'),
    ({'temperature': 1.0}, 'temperature is 1.0'),
    ({'stretch': (0.0, 1.1)}, r'stretch is \(0.0, 1.1\)'),
    ({'stretch': (-0.1, 1.0)}, r'stretch is \(-0.1, 1.0\)'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.hard_concrete(**{'strength': 1.0, **arguments})


def test_a_bias_has_no_inputs_to_gate():
  with pytest.raises(ValueError, match=r'array \[3\] has no axis -2'):
    jc.hard_concrete(1.0, axis=-2).init(jnp.ones(3))


def test_digits_are_told_apart_by_a_third_of_the_weights():
  strength = 3 / len(digits_net.digits()[0])
  dense = digits_net.train(jc.identity(), digits_net.start(), 300, rate=1e-2)
  comp = jc.hard_concrete(strength, dropout=0.2)
  sparse = digits_net.train(comp, digits_net.start(), 700, rate=1e-2)
  assert sparse.density < 0.33
  assert sparse.error < dense.error + 1.5


def test_gates_may_learn_at_a_rate_of_their_own():
  comp = jc.select('kernel', jc.hard_concrete(0.1))
  latent, state = comp.init({'kernel': W, 'bias': jnp.ones(3)})
  rates = {'weights': optax.sgd(0.0), 'gates': optax.sgd(1.0)}
  tx = optax.partition(rates, jc.hard_concrete_labels)
  grads = jax.grad(comp.penalty)(latent, state)
  updates, _ = tx.update(grads, tx.init(latent), latent)
  new = optax.apply_updates(latent, updates)
  labels = jc.hard_concrete_labels(latent)
  parts = zip(*map(jax.tree.leaves, (labels, latent, new)), strict=True)
  moved = {name: bool((a != b).any()) for name, a, b in parts}
  assert moved == {'weights': False, 'gates': True}

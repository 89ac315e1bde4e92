import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc


def test_gives_up_what_is_closest_to_zero_on_either_side():
  comp = jc.sparse_evolution(0.0, every=1, fraction=0.4)
  w = jnp.array([5.0, 0.1, 0.2, 3.0, 4.0, -9.0, -0.3, -8.0, -7.0, -0.5])
  latent, state = comp.init(w)
  # With all weights active the same ones are drawn again; they start at zero.
  latent, state = comp.update(latent, state, w)
  assert state.mask.all()
  np.testing.assert_array_equal(latent == 0, [0, 1, 1, 0, 0, 0, 1, 0, 0, 1])
  # The zeros go next, beside two of three on either side.
  latent = latent.at[1].set(1.0)
  latent, state = comp.update(latent, state, w)
  np.testing.assert_array_equal(latent == 0, [0, 1, 1, 1, 0, 0, 1, 0, 1, 1])


def test_as_many_grow_as_go_and_start_at_zero():
  comp = jc.sparse_evolution(0.8, every=3, fraction=0.3)
  w = jax.random.normal(jax.random.key(0), (30, 20))
  w, state = comp.init(w)
  update = jax.jit(comp.update)
  for call in range(1, 7):
    before, (w, state) = state.mask, update(w, state, w)
    grown = state.mask & ~before
    assert state.mask.sum() == 120
    assert not w[grown].any() and not w[~state.mask].any()
    assert grown.sum() in (range(24, 73) if call % 3 == 0 else range(1))
    w = jnp.where(state.mask & (w == 0), 0.5, w)


def test_weights_are_drawn_evenly_among_those_not_active():
  comp = jc.sparse_evolution(0.5, every=1, fraction=1.0)
  w, state = comp.init(jnp.ones(1000))
  _, state = comp.update(w, state, w)
  assert state.mask.sum() == 500
  quarters = state.mask.reshape(4, 250).sum(1)
  assert (abs(quarters - 125) < 40).all()


def test_momentum_moves_nothing_that_is_not_active():
  comp = jc.sparse_evolution(0.5, every=2, end=4)
  tx = optax.sgd(0.1, momentum=0.9)

  @jax.jit
  def step(w, state, opt_state):
    grads = jax.grad(lambda l: ((comp.view(l, state) - 3) ** 2).sum())(w)
    updates, opt_state = tx.update(grads, opt_state, w)
    w, state = comp.update(optax.apply_updates(w, updates), state, grads)
    return w, state, opt_state

  w, state = comp.init(jnp.arange(1.0, 41.0).at[5].set(0))
  opt_state, changes = tx.init(w), []
  for _ in range(8):
    before = state.mask
    w, state, opt_state = step(w, state, opt_state)
    changes.append(bool((before != state.mask).any()))
    assert not w[~state.mask].any() and not state.mask[5]
  assert changes == [False, True, False, True] + 4 * [False]


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'sparsity': -0.5}, 'fraction in 0 .. 1'),
    ({'every': 0}, 'every is 0'),
    ({'end': 0}, 'end is 0'),
    ({'fraction': -0.1}, 'fraction is -0.1'),
    ({'densities': 'er'}, "densities is 'er'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.sparse_evolution(**{'sparsity': 0.5, 'every': 9, **arguments})

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc


def test_sparsity_puts_the_threshold_at_that_rank():
  comp = jc.dynamic_surgery(sparsity=0.5, margin=0.1)
  latent, state = comp.init(jnp.array([1.0, -2.0, 3.0, -4.0]))
  _, state = comp.update(latent, state, latent)
  np.testing.assert_array_equal(state.mask, [0, 0, 1, 1])


def threshold_of_three(value):
  """Four weights whose mean magnitude is three; the second is `value`."""
  return jnp.array([3.0, value, 3.0, 6.0 - value])


@pytest.mark.parametrize(
  ('value', 'was', 'now'),
  [
    (2.85, True, True),
    (2.55, True, False),
    (2.85, False, False),
    (3.15, False, False),
    (3.45, False, True),
    (3.15, True, True),
  ],
)
def test_prunes_below_and_splices_above_the_band(value, was, now):
  comp = jc.dynamic_surgery(quality=0.0, margin=0.1)
  latent, state = comp.init(threshold_of_three(value))
  state = state._replace(mask=state.mask.at[1].set(was))
  _, state = comp.update(latent, state, latent)
  assert bool(state.mask[1]) == now


def test_pruned_weights_keep_learning():
  comp = jc.dynamic_surgery(sparsity=0.5)
  latent, state = comp.init(jnp.array([1.0, 2.0, 3.0, 4.0, 0.0, 0.0]))
  _, state = comp.update(latent, state, latent)
  grad = jax.grad(lambda l: comp.view(l, state).sum())(latent)
  np.testing.assert_array_equal(grad, [1, 1, 1, 1, 0, 0])
  np.testing.assert_array_equal(comp.view(latent, state), [0, 2, 3, 4, 0, 0])


def test_surgery_happens_with_the_given_probability():
  comp = jc.dynamic_surgery(quality=0.0, probability=lambda t: 0.5**t, seed=3)
  latent, state = comp.init(jnp.array([1.0, 9.0]))
  _, state = comp.update(latent, state, latent)
  assert not state.mask[0], 'the probability of the first call is one'
  happened = []
  for _ in range(60):
    fresh = state._replace(mask=jnp.array([True, True]), calls=jnp.int32(1))
    _, after = comp.update(latent, fresh, latent)
    happened.append(not after.mask[0])
    state = after
  assert 15 <= sum(happened) <= 45


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'sparsity': 1.5}, 'fraction'),
    ({'sparsity': 0.5, 'margin': 1.0}, 'margin'),
    ({'sparsity': 0.5, 'probability': 2.0}, 'probability'),
    ({'sparsity': 0.5, 'every': 0}, 'every'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.dynamic_surgery(**arguments)

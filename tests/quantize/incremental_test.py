import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import jcompress as jc
from jcompress.quantize.incremental import nearest_power

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])


def levels_of(largest, bits):
  """The levels of an array in float64, by the formulas of the paper."""
  top = int(np.floor(np.log2(4 * largest / 3)))
  low = top + 1 - 2 ** (bits - 2)
  powers = 2.0 ** np.arange(low, top + 1)
  return np.concatenate([-powers[::-1], [0], powers])


def test_five_bits_have_eight_powers_of_two_a_sign():
  comp = jc.incremental_quantize(every=1, portions=(1.0,))
  latent, state = comp.init(W)
  assert state.top == 0
  want = [0.25, -0.5, 2.0**-4, -0.125, 1, -0.125]
  np.testing.assert_array_equal(comp.view(latent, state), want)
  leaf = comp.encode(latent, state)
  assert leaf.centers.size == 17
  np.testing.assert_array_equal(np.sort(leaf.centers), levels_of(1.2, 5))
  np.testing.assert_array_equal(leaf.decode(), want)


@given(st.integers(2, 8), st.integers(-50, 60), st.integers(0, 99))
def test_each_weight_goes_to_the_nearest_level(bits, exponent, seed):
  w = np.random.default_rng(seed).standard_normal(40) * 2.0**exponent
  w = w.astype(np.float32)
  levels = levels_of(abs(w).max(), bits)
  low, top = np.log2(levels[levels > 0][[0, -1]]).astype(np.int32)
  got = nearest_power(jnp.asarray(w), jnp.asarray(low), jnp.asarray(top))
  got = np.asarray(got, np.float64)
  assert np.isin(got, levels).all()
  best = abs(w[:, None].astype(np.float64) - levels).min(-1)
  np.testing.assert_array_equal(abs(w - got), best)


def test_each_power_of_two_is_its_own_level():
  exponents = np.arange(-126, 128)
  w = jnp.asarray(2.0**exponents, jnp.float32)
  ends = jnp.int32(-126), jnp.int32(127)
  np.testing.assert_array_equal(nearest_power(w, *ends), w)
  np.testing.assert_array_equal(nearest_power(-w, *ends), -w)


def test_a_weight_in_the_middle_goes_up():
  w = jnp.array([0.75, 1.5, 0.25, 0.2499, 100, 0.0, -0.25])
  got = nearest_power(w, jnp.int32(-1), jnp.int32(1))
  np.testing.assert_array_equal(got, [1, 2, 0.5, 0, 2, 0, -0.5])


@pytest.mark.parametrize('largest', [0.74999, 0.75, 1.4999, 1.5])
def test_the_top_is_the_nearest_power_of_the_largest_weight(largest):
  _, state = jc.incremental_quantize(every=1).init(jnp.array([largest, 0.1]))
  assert state.top == np.floor(np.log2(4 * np.float32(largest) / 3))


def step(comp, tx, carry, target):
  latent, state, opt_state = carry
  loss = lambda l: ((comp.view(l, state) - target) ** 2).sum()
  grads = jax.grad(loss)(latent)
  updates, opt_state = tx.update(grads, opt_state, latent)
  latent = optax.apply_updates(latent, updates)
  latent, state = comp.update(latent, state, grads)
  return (latent, state, opt_state), grads


def test_the_largest_freeze_first_and_never_move_again():
  w = jax.random.normal(jax.random.key(0), (20, 10))
  w = jnp.where(jnp.arange(10) % 5 == 0, 0, w)  # 160 are live
  target = jax.random.normal(jax.random.key(1), w.shape)
  comp = jc.incremental_quantize(4, every=2)
  tx = optax.adamw(0.05, weight_decay=0.1)
  latent, state = comp.init(w)
  first = abs(w)[state.frozen].min()
  assert first >= abs(w)[~state.frozen].max()
  carry = latent, state, tx.init(latent)
  one = jax.jit(lambda c: step(comp, tx, c, target))
  levels = levels_of(abs(w).max(), 4)
  counts = []
  for _ in range(8):
    before = carry
    carry, grads = one(carry)
    frozen = np.asarray(before[1].frozen)
    counts.append(frozen.sum())
    old, new = (np.asarray(comp.view(*c[:2])) for c in (before, carry))
    np.testing.assert_array_equal(old[frozen], new[frozen])
    assert np.isin(new[frozen], levels).all()
    assert not np.asarray(grads)[frozen].any()
    assert carry[1].frozen[frozen].all()
  assert counts == [80, 80, 120, 120, 140, 140, 160, 160]
  view = comp.view(*carry[:2])
  assert not np.asarray(view)[np.asarray(w == 0)].any()


def test_each_turn_ranks_the_weights_as_they_are_then():
  w = jax.random.normal(jax.random.key(0), (20, 10))
  comp = jc.incremental_quantize(4, every=1)
  latent, state = comp.init(w)
  moved = jax.random.normal(jax.random.key(1), w.shape)
  _, later = comp.update(moved, state, moved)
  now = later.frozen & ~state.frozen
  assert now.sum() == 50
  assert abs(moved)[now].min() >= abs(moved)[~later.frozen].max()


def test_what_is_not_frozen_is_rounded_when_it_is_shipped():
  comp = jc.incremental_quantize(5, every=1)
  latent, state = comp.init(W)
  view = comp.view(latent, state)
  shipped = comp.encode(latent, state).decode()
  np.testing.assert_array_equal(view[jnp.array([0, 1, 4])], [0.25, -0.5, 1])
  free = jnp.array([2, 3, 5])
  np.testing.assert_array_equal(view[free], W[free])
  np.testing.assert_array_equal(
    shipped, [0.25, -0.5, 0.0625, -0.125, 1, -0.125]
  )


def test_levels_stay_within_the_numbers_of_float16():
  w = jnp.array([65504, 6e-5, -3e-5, 1.0], jnp.float16)
  comp = jc.incremental_quantize(8, every=1, portions=(1.0,))
  view = comp.view(*comp.init(w))
  np.testing.assert_array_equal(
    view.astype(jnp.float32), [2.0**15, 2.0**-14, 0, 1]
  )
  decoded = comp.encode(*comp.init(w)).decode()
  np.testing.assert_array_equal(decoded, view)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 1, 'every': 1}, 'bits is 1'),
    ({'bits': 9, 'every': 1}, 'bits is 9'),
    ({'every': 0}, 'every is 0'),
    ({'every': 1, 'portions': ()}, 'portions is'),
    ({'every': 1, 'portions': (0.5, 0.5)}, 'portions is'),
    ({'every': 1, 'portions': (0.0, 1.0)}, 'portions is'),
    ({'every': 1, 'portions': (0.5, 1.5)}, 'portions is'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.incremental_quantize(**arguments)

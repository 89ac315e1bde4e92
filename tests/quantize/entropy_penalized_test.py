"""Tests of weights that pay for the bits of their codes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.quantize import entropy_penalized as ep
from jcompress.quantize.learned_step import LearnedStep

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1, 0.0, 0.0])


def latent_of(w, step):
  return jc.base.Leaf(LearnedStep(w, jnp.float32(step)))


def test_code_lengths_of_a_histogram():
  got = ep.code_lengths(jnp.array([1.0, 6.0, 1.0, 0.0]))
  want = -np.log2(np.array([1.5, 6.5, 1.5, 0.5]) / 10)
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_value_and_gradient_of_the_penalty():
  comp = jc.entropy_penalized(0.5, bits=2)
  _, state = comp.init(W)
  lengths = jnp.array([4.0, 3.0, 1.0, 2.0])  # of -2, -1, 0, 1
  state = state._replace(lengths=lengths)
  latent = latent_of(W, 0.4)
  # In steps .75 -1.75 .125 -.375 3 -.25 0 0: codes 1 -2 0 0 1 0 0 0.
  value, slope = jax.value_and_grad(comp.penalty)(latent, state)
  assert value == 0.5 * (2 + 4 + 1 + 1 + 2 + 1 + 1 + 1)
  between = np.array([1, -1, 1, -2, 0, -2, 0, 0])
  np.testing.assert_allclose(slope.value.w, 0.5 * between / 0.4, rtol=1e-6)
  moved = np.array([0.75, -1.75, 0.125, -0.375, 0, -0.25, 0, 0])
  np.testing.assert_allclose(
    slope.value.step / state.grid.gradient_scale,
    0.5 * -(between * moved).sum() / 0.4,
    rtol=1e-5,
  )


def test_the_histogram_is_counted_in_each_second_call():
  comp = jc.entropy_penalized(1.0, bits=2, every=2)
  latent, state = comp.init(W)
  first = state.lengths
  latent = latent_of(W, 10.0)
  for changes in (False, True, False):
    _, new = comp.update(latent, state, latent)
    assert bool((new.lengths != state.lengths).any()) == changes
    state = new
  want = ep.code_lengths(jnp.array([0.0, 0, 8, 0]))
  np.testing.assert_array_equal(state.lengths, want)
  assert (first != want).any()


def test_the_penalty_is_the_length_of_the_file():
  w = jax.random.normal(jax.random.key(0), (300, 200))
  comp = jc.entropy_penalized(1.0, bits=6)
  latent, state = comp.init(w)
  latent = jc.base.Leaf(latent.value._replace(step=jnp.float32(0.3)))
  _, state = comp.update(latent, state._replace(calls=jnp.int32(9)), latent)
  size = len(jc.pack(comp.encode(latent, state)))
  assert abs(float(comp.penalty(latent, state)) / 8 / size - 1) < 0.02


def test_codes_become_cheap_and_the_important_weight_stays():
  important = jnp.zeros((40, 40)).at[3, 4].set(1.0)
  w = jax.random.normal(jax.random.key(1), (40, 40)).at[3, 4].set(2.0)
  sizes = []
  for strength in (0.0, 3e-3):
    comp = jc.entropy_penalized(strength, bits=5)
    tx = optax.adam(0.02)
    ts = jc.init_train_state(comp, tx, w)
    loss = lambda p, batch: (jnp.sum(important * (p - batch) ** 2), {})
    step = jc.train_step(loss, comp, tx)
    for _ in range(300):
      ts, _ = step(ts, w)
    shipped = comp.encode(ts.latent, ts.state)
    sizes.append(len(jc.pack(shipped)))
    assert abs(float(shipped.decode()[3, 4]) - 2) < 0.3
  assert sizes[1] < sizes[0] / 8


@pytest.mark.parametrize(
  'numbers',
  [{'strength': -1.0}, {'bits': 1}, {'bits': 13}, {'every': 0}],
)
def test_wrong_numbers(numbers):
  with pytest.raises(ValueError, match=next(iter(numbers))):
    jc.entropy_penalized(**({'strength': 1.0} | numbers))

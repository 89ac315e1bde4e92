import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import jcompress as jc
from jcompress.ops import learned_step_activation, learned_step_start
from jcompress.quantize.learned_step import LearnedStep

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])


def reference(v, s, low, high):
  """Value and slope of the step in NumPy, as the paper writes them."""
  r = np.asarray(v, np.float64) / s
  codes = np.round(np.clip(r, low, high))
  slope = np.where(r <= low, low, np.where(r >= high, high, codes - r))
  return codes * s, slope, ((r > low) & (r < high)).astype(float)


def test_values_and_gradients_of_three_bits():
  comp = jc.learned_step(3)
  latent, state = comp.init(W)
  np.testing.assert_allclose(latent.value.step, 0.4811252, rtol=1e-6)
  np.testing.assert_allclose(state.gradient_scale, 0.2357023, rtol=1e-6)
  latent = latent._replace(value=LearnedStep(W, jnp.float32(0.25)))
  view = lambda l: comp.view(l, state)
  np.testing.assert_array_equal(view(latent), [0.25, -0.75, 0, -0.25, 0.75, 0])
  slopes = jax.jacrev(view)(latent).value
  np.testing.assert_allclose(
    slopes.step / state.gradient_scale,
    [-0.2, -0.2, -0.2, -0.4, 3, 0.4],
    atol=1e-6,
  )
  np.testing.assert_array_equal(slopes.w, np.diag([1, 1, 1, 1, 0, 1]))
  leaf = comp.encode(latent, state)
  assert leaf.codes.dtype == jnp.int8 and leaf.scale == 0.25
  np.testing.assert_array_equal(leaf.codes, [1, -3, 0, -1, 3, 0])


@given(st.integers(2, 8), st.booleans(), st.integers(0, 99))
def test_activations_and_gradients_are_the_papers(bits, signed, seed):
  rng = np.random.default_rng(seed)
  x = rng.standard_normal((4, 3, 2)).astype(np.float32)
  g = rng.standard_normal(x.shape).astype(np.float32)
  s = np.float32(rng.uniform(0.05, 2))
  ends = (
    (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
  )
  want, slope, inside = reference(x, s, *ends)
  act = lambda x, s: learned_step_activation(x, s, bits, signed=signed)
  got, pull = jax.vjp(act, jnp.asarray(x), jnp.asarray(s))
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
  dx, ds = pull(jnp.asarray(g))
  np.testing.assert_array_equal(dx, g * inside)
  scale = 1 / np.sqrt(6 * ends[1])  # six features an example
  np.testing.assert_allclose(
    ds, scale * (g * slope).sum(), rtol=1e-3, atol=1e-4
  )


def test_the_ends_of_the_range_belong_to_the_outside():
  x = jnp.array([[0.0, 0.5, 1.5]])
  act = lambda x, s: learned_step_activation(x, s, bits=2).sum()
  dx, ds = jax.grad(act, (0, 1))(x, jnp.float32(0.5))
  np.testing.assert_array_equal(dx, [[0, 1, 0]])
  np.testing.assert_allclose(ds, (0 + 0 + 3) / 3)  # 1 / sqrt(3 * 3)


def test_a_step_past_zero_comes_back():
  s = jnp.float32(-0.25)
  act = lambda s: learned_step_activation(W[None], s, bits=3, signed=True)
  np.testing.assert_array_equal(act(s), act(-s))
  np.testing.assert_array_equal(jax.jacrev(act)(s), -jax.jacrev(act)(-s))
  assert jnp.isfinite(jax.jacrev(act)(jnp.float32(0))).all()
  assert jnp.isfinite(act(jnp.float32(0))).all()


def test_the_first_step_of_a_pruned_layer_is_that_of_what_is_left():
  pruned = jnp.concatenate([W, jnp.zeros(600)])
  comp = jc.learned_step(3)
  (dense, scale), (left, other) = comp.init(W), comp.init(pruned)
  np.testing.assert_allclose(left.value.step, dense.value.step, rtol=1e-6)
  np.testing.assert_allclose(
    other.gradient_scale, scale.gradient_scale, rtol=1e-6
  )


def test_one_step_a_column_is_that_of_the_column():
  w = jax.random.normal(jax.random.key(0), (5, 3)) * jnp.array([1.0, 10, 0])
  latent, state = jc.learned_step(4, axis=-1).init(w)
  assert latent.value.step.shape == state.gradient_scale.shape == (1, 3)
  for j in (0, 1):
    alone, one = jc.learned_step(4).init(w[:, j])
    np.testing.assert_allclose(
      latent.value.step[0, j], alone.value.step, rtol=1e-6
    )
    np.testing.assert_allclose(state.gradient_scale[0, j], one.gradient_scale)
  assert latent.value.step[0, 2] == 1


def test_the_start_of_an_activation():
  np.testing.assert_allclose(
    learned_step_start(W, 3, signed=True), 0.4811252, rtol=1e-6
  )
  np.testing.assert_allclose(
    learned_step_start(W, 2), 2 * 2.5 / 6 / np.sqrt(3), rtol=1e-6
  )
  assert learned_step_start(jnp.zeros((2, 3)), 2) == 1


def test_training_the_step_lowers_the_error_of_the_grid():
  w = jax.random.normal(jax.random.key(0), (40, 30))
  comp, tx = jc.learned_step(2), optax.sgd(0.05)
  latent, state = comp.init(w)
  loss = lambda l: ((comp.view(l, state) - w) ** 2).sum()
  start = loss(latent)
  opt_state = tx.init(latent)
  for _ in range(30):
    grads = jax.grad(loss)(latent)
    grads = grads._replace(value=grads.value._replace(w=jnp.zeros_like(w)))
    updates, opt_state = tx.update(grads, opt_state, latent)
    latent = optax.apply_updates(latent, updates)
  assert loss(latent) < 0.9 * start
  # The best uniform grid of these four levels for a normal distribution.
  trials = [
    np.sum((reference(w, s, -2, 1)[0] - w) ** 2)
    for s in np.linspace(0.3, 2, 171)
  ]
  assert loss(latent) < 1.03 * min(trials)


def test_an_infinite_weight_is_not_shipped_as_a_large_one():
  comp = jc.learned_step(4)
  latent, state = comp.init(W)
  broken = latent._replace(value=latent.value._replace(w=W.at[0].set(jnp.inf)))
  with pytest.raises(ValueError, match='NaN or inf'):
    comp.encode(broken, state)


def test_wide_codes_take_two_bytes():
  latent, state = jc.learned_step(9).init(W)
  assert jc.learned_step(9).encode(latent, state).codes.dtype == jnp.int16


def test_bad_arguments_are_refused():
  for bits in (1, 17):
    with pytest.raises(ValueError, match=f'bits is {bits}'):
      jc.learned_step(bits)
  for bits, signed in ((0, False), (1, True), (17, False)):
    with pytest.raises(ValueError, match=f'bits is {bits}'):
      learned_step_activation(W[None], jnp.float32(1), bits, signed=signed)
    with pytest.raises(ValueError, match=f'bits is {bits}'):
      learned_step_start(W, bits, signed=signed)
  with pytest.raises(ValueError, match='axis is 1'):
    jc.learned_step(4, axis=1).init(W)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])
G = jnp.array([1.0, -2, 0.5, 0, 3, -1])


def build(positive=0.8, negative=0.6, w=W, **options):
  comp = jc.trained_ternary(0.05, **options)
  latent, state = comp.init(w)
  value = latent.value._replace(
    positive=jnp.asarray(positive, w.dtype),
    negative=jnp.asarray(negative, w.dtype),
  )
  return comp, latent._replace(value=value), state


def test_codes_and_gradients_of_known_numbers():
  comp, wrapped, state = build()
  view = comp.view(wrapped, state)
  np.testing.assert_allclose(view, [0.8, -0.6, 0, -0.6, 0.8, -0.6], rtol=1e-6)
  grad = jax.grad(lambda l: jnp.vdot(comp.view(l, state), G))(wrapped).value
  np.testing.assert_allclose(grad.positive, 4, rtol=1e-6)
  np.testing.assert_allclose(grad.negative, 3, rtol=1e-6)
  np.testing.assert_allclose(
    grad.weight, [0.8, -1.2, 0.5, 0, 2.4, -0.6], rtol=1e-6
  )


def test_gradients_of_the_magnitudes_are_derivatives():
  comp, latent, state = build()
  f = lambda p, n: jnp.vdot(
    comp.view(
      latent._replace(value=latent.value._replace(positive=p, negative=n)),
      state,
    ),
    G,
  )
  grads = jax.grad(f, (0, 1))(0.8, 0.6)
  for i, got in enumerate(grads):
    ends = [
      float(f(*np.float32([0.8 + (i == 0) * h, 0.6 + (i == 1) * h])))
      for h in (-0.01, 0.01)
    ]
    np.testing.assert_allclose(got, (ends[1] - ends[0]) / 0.02, rtol=1e-3)


def test_magnitudes_start_at_one_or_at_what_they_replace():
  one = jc.trained_ternary().init(W)[0].value
  assert one.positive == one.negative == 1
  mean = jc.trained_ternary(start=None).init(W)[0].value
  np.testing.assert_allclose(mean.positive, 0.75, rtol=1e-6)
  np.testing.assert_allclose(mean.negative, 0.95 / 3, rtol=1e-6)


def test_magnitudes_do_not_fall_below_zero():
  comp, latent, state = build(-0.2, -0.3)
  latent, _ = comp.update(latent, state, latent)
  assert latent.value.positive == latent.value.negative == 0
  np.testing.assert_array_equal(latent.value.weight, W)


def test_zeros_stay_zero_and_get_no_gradient():
  comp, latent, state = build(w=W.at[0].set(0))
  grad = jax.grad(lambda l: jnp.vdot(comp.view(l, state), G))(latent).value
  assert grad.weight[0] == 0 and grad.positive == 3
  moved = latent._replace(
    value=latent.value._replace(weight=latent.value.weight + 1)
  )
  assert comp.view(moved, state)[0] == 0


def test_half_precision_magnitudes_sum_their_gradients_in_float32():
  w = jnp.ones(5000, jnp.bfloat16)
  comp, latent, state = build(w=w)
  f = lambda l: comp.view(l, state).astype(jnp.float32).sum()
  grad = jax.grad(f)(latent).value.positive
  # A sum in bfloat16 would stop at 256.
  np.testing.assert_allclose(grad.astype(jnp.float32), 5000, rtol=0.01)


def test_the_file_holds_three_values_and_the_codes():
  w = jax.random.normal(jax.random.key(0), (80, 50))
  comp, latent, state = build(w=w)
  encoded = comp.encode(latent, state)
  np.testing.assert_array_equal(jc.decode(encoded), comp.view(latent, state))
  np.testing.assert_allclose(encoded.centers, [-0.6, 0, 0.8], rtol=1e-6)
  assert len(jc.pack(encoded)) < 1.6 * w.size / 8 + 200


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match='threshold is 1'):
    jc.trained_ternary(1.0)
  with pytest.raises(ValueError, match='start is 0'):
    jc.trained_ternary(start=0.0)


def test_float64_magnitudes_are_shown_in_all_their_bits():
  with jax.enable_x64(True):
    comp = jc.trained_ternary()
    latent, state = comp.init(jnp.array([0.5, -2.0, 0.0]))
    moved = latent.value._replace(positive=jnp.array(1 / 3))
    latent = latent._replace(value=moved)
    view = comp.view(latent, state)
    assert view.dtype == 'float64' and view[0] == 1 / 3
    np.testing.assert_array_equal(view, jc.decode(comp.encode(latent, state)))

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.binarize.loss_aware import loss_aware_binarize

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])
SIGNS = np.array([1, -1, 1, -1, 1, -1])


def test_curvature_weighs_the_scale():
  comp = loss_aware_binarize()
  latent, state = comp.init(W)
  d = jnp.array([1, 4, 0.5, 2, 0.25, 1])
  state = state._replace(moment=d**2)
  view = comp.view(latent, state)
  np.testing.assert_allclose(view, 0.4371429 * SIGNS, rtol=1e-6)
  scaled = state._replace(moment=(100 * d) ** 2)
  np.testing.assert_allclose(comp.view(latent, scaled), view, rtol=1e-6)


def test_one_step_of_the_papers_method():
  comp, tx = loss_aware_binarize(), optax.adam(0.01)
  latent, state = comp.init(jnp.array([0.3, -0.7, 0.05]))
  grads = jnp.array([0.1, -0.2, 0.05])
  pulled = jax.grad(lambda l: jnp.vdot(comp.view(l, state), grads))(latent)
  np.testing.assert_array_equal(pulled, grads)
  updates, _ = tx.update(pulled, tx.init(latent), latent)
  latent, state = comp.update(latent + updates, state, pulled)
  np.testing.assert_allclose(latent, [0.29, -0.69, 0.04], rtol=1e-5)
  np.testing.assert_allclose(
    jnp.sqrt(state.moment), [0.003162, 0.006325, 0.001581], atol=1e-6
  )
  np.testing.assert_allclose(
    comp.view(latent, state), 0.4828568 * np.array([1, -1, 1]), rtol=1e-6
  )


def test_second_moment_is_that_of_adam():
  comp, tx = loss_aware_binarize(b2=0.99), optax.adam(0.01, b2=0.99)
  latent, state = comp.init(W)
  opt_state = tx.init(latent)
  for i in range(5):
    view, pull = jax.vjp(lambda l, s=state: comp.view(l, s), latent)
    (grads,) = pull(view - jnp.sin(i + jnp.arange(6.0)))
    updates, opt_state = tx.update(grads, opt_state, latent)
    latent, state = comp.update(latent + updates, state, grads)
  np.testing.assert_array_equal(state.moment, opt_state[0].nu)
  assert (state.moment > 0).all()


def test_before_the_first_gradient_it_is_the_binary_weight_of_a_layer():
  w = jax.random.normal(jax.random.key(0), (20, 30))
  ours, plain = loss_aware_binarize(), jc.binary_weight('layer')
  np.testing.assert_allclose(
    ours.view(*ours.init(w)), plain.view(*plain.init(w)), rtol=2e-5
  )


def test_without_its_scale_it_is_binary_connect():
  ours, plain = loss_aware_binarize(), jc.binary_connect()
  (x, s), (y, t) = ours.init(W), plain.init(W)
  view = ours.view(x, s)
  np.testing.assert_array_equal(view / jnp.abs(view), plain.view(y, t))
  step = jnp.array([1.0, -0.2, 0.3, 0.4, 0.1, 9.0])
  np.testing.assert_array_equal(
    ours.update(x - step, s, step)[0], plain.update(y - step, t, step)[0]
  )


def test_clipping_is_an_option():
  for clip in (False, True):
    comp = loss_aware_binarize(clip=clip)
    latent, _ = comp.update(2 * W, comp.init(W)[1], W)
    assert bool((jnp.abs(latent) <= 1).all()) == clip


def test_the_file_is_a_bit_a_weight_and_one_scale():
  w = jax.random.normal(jax.random.key(0), (64, 32))
  comp = loss_aware_binarize()
  assert comp.encode(*comp.init(w)).bits() == w.size + 32


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [({'b2': 1.0}, 'b2 is 1.0'), ({'eps': 0.0}, 'eps is 0.0')],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    loss_aware_binarize(**arguments)

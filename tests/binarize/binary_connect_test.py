import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import jcompress as jc
from jcompress.binarize.binary_connect import scale_by_glorot

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])


def draws(comp, w, count):
  """Views of as many steps, without an optimizer."""
  latent, state = comp.init(w)

  def body(state, _):
    view = comp.view(latent, state)
    _, state = comp.update(latent, state, latent)
    return state, view

  return np.asarray(jax.lax.scan(body, state, None, count)[1])


def test_zero_and_the_ends_get_their_signs():
  comp = jc.binary_connect()
  w = jnp.array([0.0, -0.0, 1.0, -1.0, -1e-9])
  np.testing.assert_array_equal(comp.view(*comp.init(w)), [1, 1, 1, -1, -1])


def test_probability_of_plus_one_is_the_hard_sigmoid():
  many = draws(jc.binary_connect(stochastic=True), W, 20_000)
  assert set(np.unique(many)) == {-1, 1}
  p = np.array([0.65, 0.15, 0.525, 0.425, 1.0, 0.45])
  error = 5 * np.sqrt(p * (1 - p) / len(many))
  assert (np.abs((many > 0).mean(0) - p) <= error).all()


@pytest.mark.parametrize('stochastic', [False, True])
def test_the_gradient_of_the_signs_reaches_the_weights_unchanged(stochastic):
  comp = jc.binary_connect(stochastic)
  latent, state = comp.init(jnp.array([0.3, -1.0, 1.0, 2.5, 0.0]))
  g = jnp.array([1.0, -2.0, 0.5, 3.0, -1.0])
  grad = jax.grad(lambda l: jnp.vdot(comp.view(l, state), g))(latent)
  np.testing.assert_array_equal(grad, g)


def test_a_draw_is_kept_until_the_next_update():
  comp = jc.binary_connect(stochastic=True)
  w = {'a': jnp.zeros(200), 'b': jnp.zeros(200)}
  latent, state = comp.init(w)
  first, again = comp.view(latent, state), comp.view(latent, state)
  np.testing.assert_array_equal(first['a'], again['a'])
  assert (first['a'] != first['b']).any(), 'arrays of one shape draw apart'
  _, state = comp.update(latent, state, latent)
  assert (comp.view(latent, state)['a'] != first['a']).any()
  other = jc.binary_connect(stochastic=True, seed=1)
  assert (other.view(*other.init(w))['a'] != first['a']).any()


def test_weights_are_clipped_after_the_step():
  comp = jc.binary_connect()
  latent, state = comp.init(W)
  latent, _ = comp.update(latent - 5, state, latent)
  np.testing.assert_array_equal(latent, -np.ones(6))


def test_small_updates_change_no_sign():
  comp = jc.binary_connect()
  latent, state = comp.init(W)
  moved, state = comp.update(latent - 0.9 * W, state, latent)
  np.testing.assert_array_equal(comp.view(moved, state), comp.view(W, state))


@given(st.floats(0.01, 100))
def test_what_ships_does_not_see_the_size_of_the_weights(factor):
  comp = jc.binary_connect()
  a, b = comp.encode(*comp.init(W)), comp.encode(*comp.init(factor * W))
  np.testing.assert_array_equal(jc.decode(a), jc.decode(b))


def test_ships_signs_or_weights():
  w = jax.random.normal(jax.random.key(0), (64, 64))
  ship = lambda **how: jc.binary_connect(**how).encode(
    *jc.binary_connect(**how).init(w)
  )
  assert len(jc.pack(ship())) < 64 * 64 / 8 + 200
  np.testing.assert_array_equal(
    jc.decode(ship(stochastic=True)), jnp.clip(w, -1, 1)
  )
  np.testing.assert_array_equal(
    jc.decode(ship(stochastic=True, ships='signs')), jnp.where(w >= 0, 1, -1)
  )
  np.testing.assert_array_equal(
    jc.decode(ship(ships='weights')), jnp.clip(w, -1, 1)
  )
  with pytest.raises(ValueError, match="ships is 'bits'"):
    jc.binary_connect(ships='bits')


@pytest.mark.parametrize(
  ('shape', 'want'),
  [
    ((784, 1024), 34.718),
    ((784, 2048), 43.451),
    ((2048, 2048), 52.256),
    ((2048, 10), 37.041),
    ((3, 3, 3, 128), 28.036),
    ((3, 3, 128, 128), 39.192),
  ],
)
def test_glorot_factors_of_the_papers_layers(shape, want):
  form = {'fc': {'kernel': jax.ShapeDtypeStruct(shape, jnp.float32)}}
  for power in (1, 2):
    tx = scale_by_glorot(power=power)
    run = lambda p, tx=tx: tx.update(p, tx.init(p))[0]['fc']['kernel'].ravel()[
      0
    ]
    tx.init(form)
    got = jax.jit(run)({'fc': {'kernel': jnp.ones(shape)}})
    np.testing.assert_allclose(got, want**power, rtol=3e-5)


def test_the_first_adam_step_is_the_scaled_learning_rate():
  params = {'kernel': jnp.ones((784, 1024)), 'bias': jnp.ones(1024)}
  tx = optax.chain(optax.adam(1e-3), scale_by_glorot('kernel'))
  grads = jax.tree.map(lambda x: -0.02 * x, params)
  updates, _ = tx.update(grads, tx.init(params), params)
  np.testing.assert_allclose(updates['kernel'], 0.0347, atol=2e-5)
  np.testing.assert_allclose(updates['bias'], 0.001, rtol=1e-4)


def test_glorot_scaling_refuses_what_has_no_fans():
  params = {'fc': {'bias': jnp.ones(3)}}
  with pytest.raises(ValueError, match='matches no leaf of: fc/bias'):
    scale_by_glorot().init(params)
  with pytest.raises(ValueError, match=r'shape \[3\] has no fan-in'):
    scale_by_glorot('fc/bias').init(params)
  with pytest.raises(ValueError, match='power is 3'):
    scale_by_glorot(power=3)


def test_glorot_scaling_works_under_select():
  params = {'fc': {'kernel': jnp.ones((8, 4)), 'bias': jnp.ones(4)}}
  comp = jc.select(jc.KERNELS, jc.binary_connect())
  latent, _ = comp.init(params)
  tx = scale_by_glorot()
  scaled, _ = tx.update(latent, tx.init(latent))
  np.testing.assert_allclose(
    scaled['fc']['kernel'], np.sqrt(12 / 1.5), rtol=1e-6
  )
  np.testing.assert_array_equal(scaled['fc']['bias'], 1)

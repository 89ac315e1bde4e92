import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.prune.biased_decay import biased_decay, decay_bias, remove_units

W = jnp.array([[0.5, -1.0], [0.1, 0.2]]).T  # the paper's rows are units


@pytest.mark.parametrize(
  ('bias', 'value', 'gradient'),
  [
    ('hyperbolic', 0.5625, [[0.0625, -0.0625], [0.390625, 0.390625]]),
    ('exponential', 1.4014013, [[0.099574, -0.099574], [1.097623, 1.097623]]),
    ('rumelhart', 0.7483625, [[0.64, -0.5], [0.196059, 0.369822]]),
    ('quadratic', 1.3, [[1.0, -2.0], [0.2, 0.4]]),
  ],
)
def test_values_and_gradients_to_the_digit(bias, value, gradient):
  comp = biased_decay(1.0, bias=bias, shape=2.0)
  latent, state = comp.init(W)
  got, grad = jax.value_and_grad(comp.penalty)(latent, state)
  assert float(got) == pytest.approx(value, abs=1e-6)
  np.testing.assert_allclose(grad.T, gradient, atol=1e-6)
  half = biased_decay(0.5, bias=bias, shape=2.0)
  assert float(half.penalty(latent, state)) == pytest.approx(value / 2)


def test_small_units_are_pulled_harder():
  slope = lambda bias: jnp.abs(jax.grad(decay_bias)(W, bias, 2.0)).max(0)
  large, small = slope('hyperbolic')
  assert small / large == pytest.approx(6.25)
  large, small = slope('exponential')
  assert small / large == pytest.approx(np.exp(2.4), rel=1e-5)


def test_rumelharts_pull_peaks_at_one_over_root_three():
  w = jnp.linspace(0.01, 3, 3000)
  slope = jax.vmap(jax.grad(lambda w: decay_bias(w[None], 'rumelhart')))(w)
  assert w[slope.argmax()] == pytest.approx(3**-0.5, abs=1e-3)
  assert slope.max() == pytest.approx(3**1.5 / 8, abs=1e-5)


def test_a_unit_of_a_convolution_has_all_the_weights_into_it():
  w = jax.random.normal(jax.random.key(0), (3, 3, 2, 4))
  for bias in ('hyperbolic', 'exponential'):
    flat = decay_bias(w.reshape(18, 4), bias, 0.5)
    np.testing.assert_allclose(decay_bias(w, bias, 0.5), flat, rtol=1e-6)


def test_decoupled_decay_is_that_of_adamw():
  comp = biased_decay(0.05, bias='quadratic', decoupled=True)
  latent, state = comp.init(W)
  assert comp.penalty(latent, state) == 0
  latent, _ = comp.update(latent, state, W)
  np.testing.assert_allclose(latent, 0.9 * W, rtol=1e-6)


@pytest.mark.parametrize('bias', ['hyperbolic', 'exponential'])
def test_decoupled_steps_end_at_zero_without_crossing_it(bias):
  comp = biased_decay(0.03, bias=bias, shape=2.0, decoupled=True)
  latent, state = comp.init(W)
  step = jax.jit(comp.update)
  first, _ = step(latent, state, W)
  want = W - 0.03 * jax.grad(decay_bias)(W, bias, 2.0)
  np.testing.assert_allclose(first, want, rtol=1e-5)
  for _ in range(20):
    latent, state = step(latent, state, W)
    assert (latent * jnp.sign(W) >= 0).all()
  assert not latent[:, 1].any() and latent[1, 0]


def test_in_the_loss_the_weights_chatter_around_zero():
  comp = biased_decay(1.0, bias='hyperbolic')
  latent, state = comp.init(W)
  tx = optax.sgd(0.03)
  opt_state = tx.init(latent)
  for _ in range(200):
    grads = jax.grad(comp.penalty)(latent, state)
    updates, opt_state = tx.update(grads, opt_state)
    latent = optax.apply_updates(latent, updates)
  assert latent.all() and jnp.abs(latent).max() <= 0.06


def sigmoid_net(params, x):
  h = jax.nn.sigmoid(x @ params['fc1']['kernel'] + params['fc1']['bias'])
  return jax.nn.sigmoid(h @ params['fc2']['kernel'] + params['fc2']['bias'])


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
ANSWERS = np.array([[0], [1], [1], [0]], np.float32)


def solved(params):
  return (jnp.abs(sigmoid_net(params, XOR) - ANSWERS) < 0.4).all()


def train_xor(comp, seeds=8, steps=2500):
  """Ten hidden units, momentum 0.8 as in the paper; all seeds at once."""
  tx = optax.sgd(0.5, momentum=0.8)

  def run(key):
    keys = jax.random.split(key)
    kernel = lambda key, *shape: {
      'kernel': jax.random.normal(key, shape),
      'bias': jnp.zeros(shape[1]),
    }
    params = {'fc1': kernel(keys[0], 2, 10), 'fc2': kernel(keys[1], 10, 1)}
    latent, state = comp.init(params)

    def loss(latent):
      error = (sigmoid_net(comp.view(latent, state), XOR) - ANSWERS) ** 2
      return error.sum() + comp.penalty(latent, state)

    def step(carry, _):
      latent, opt_state = carry
      grads = jax.grad(loss)(latent)
      updates, opt_state = tx.update(grads, opt_state)
      latent, _ = comp.update(
        optax.apply_updates(latent, updates), state, grads
      )
      return (latent, opt_state), None

    carry = latent, tx.init(latent)
    (latent, _), _ = jax.lax.scan(step, carry, None, steps)
    return comp.view(latent, state)

  keys = jax.random.split(jax.random.key(0), seeds)
  stacked = jax.jit(jax.vmap(run))(keys)
  each = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(seeds)]
  return [p for p in each if solved(p)]


def test_the_bias_leaves_xor_with_few_hidden_units():
  connected = lambda p: int(p['fc1']['kernel'].any(0).sum())
  decay = lambda **kind: jc.select(
    'fc1/kernel', biased_decay(decoupled=True, **kind)
  )
  biased = train_xor(decay(strength=0.01, shape=0.5))
  plain = train_xor(decay(strength=1e-4, bias='quadratic'))
  assert len(biased) >= 5 and len(plain) >= 5, 'most runs converge'
  assert np.mean([connected(p) for p in biased]) < 6
  assert all(connected(p) == 10 for p in plain)
  accept = jax.jit(solved)
  for params in biased[:2]:
    small, kept = remove_units(
      params, accept, kernel='fc1/kernel', outgoing='fc2/kernel'
    )
    assert accept(small) and 2 <= kept.sum() < 10
    for unit in np.flatnonzero(kept):
      less = jax.tree.map(jnp.copy, small)
      less['fc2']['kernel'] = less['fc2']['kernel'].at[unit].set(0)
      assert not accept(less), 'each unit that is left is needed'


def test_units_that_do_nothing_are_removed():
  rng = np.random.default_rng(0)
  params = {
    'a': {'kernel': rng.normal(size=(3, 4)), 'bias': np.ones(4)},
    'b': {'kernel': rng.normal(size=(8, 2)), 'bias': np.ones(2)},
  }
  params['b']['kernel'][[1, 5, 3, 7]] = 0  # units 1 and 3 at two positions
  params = jax.tree.map(jnp.asarray, params)
  x = rng.normal(size=(20, 2, 3))

  def out(p):
    h = jax.nn.relu(x @ p['a']['kernel'] + p['a']['bias'])
    return h.reshape(20, 8) @ p['b']['kernel'] + p['b']['bias']

  want = out(params)
  accept = lambda p: np.allclose(out(p), want, atol=1e-5)
  find = functools.partial(remove_units, kernel='a/kernel')
  small, kept = find(params, accept, outgoing='b/kernel')
  np.testing.assert_array_equal(kept, [True, False, True, False])
  assert not small['a']['kernel'][:, ~kept].any()
  assert not small['a']['bias'][~kept].any()
  np.testing.assert_allclose(out(small), want, atol=1e-5)
  _, kept = find(params, lambda p: True, outgoing='b/kernel')
  assert not kept.any()
  for arguments, message in (
    ((params, accept, 'c/kernel'), 'no c/kernel; the params have'),
    ((params, accept, 'a/kernel'), r'4 units, a/kernel the shape \[3, 4\]'),
    ((params, lambda p: False, 'b/kernel'), 'not accepted with all'),
  ):
    with pytest.raises(ValueError, match=message):
      find(*arguments[:2], outgoing=arguments[2])


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'strength': -1.0}, 'strength is -1'),
    ({'strength': np.inf}, 'strength is inf'),
    ({'strength': 1.0, 'shape': 0.0}, 'shape is 0'),
    ({'strength': 1.0, 'bias': 'linear'}, "bias is 'linear'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    biased_decay(**arguments)

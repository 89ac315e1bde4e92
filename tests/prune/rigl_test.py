import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc


def numbers(seed, shape=(40, 30)):
  """Rounded, so that many are equal."""
  return jax.random.normal(jax.random.key(seed), shape).round(1)


@functools.cache
def update(comp):
  return jax.jit(comp.update)


def exchanged(w, grad, mask, live, moved):
  """The new mask, by sorting."""
  w, grad, mask, live = (np.asarray(x).ravel() for x in (w, grad, mask, live))
  first = lambda scores, among, count: [
    i for i in np.argsort(-np.abs(scores), kind='stable') if among[i]
  ][:count]
  kept = np.zeros_like(mask)
  kept[first(w, mask, mask.sum() - moved)] = True
  grown = kept.copy()
  grown[first(grad, live & ~kept, moved)] = True
  return grown


def test_exchanges_the_smallest_weights_for_the_largest_gradients():
  comp = jc.rigl(0.7, end=100, every=5, fraction=0.25)
  w, state = comp.init(numbers(0))
  grad = numbers(1)
  want = exchanged(w, grad, state.mask, state.live, moved=90)
  after, new = update(comp)(w, state, grad)
  np.testing.assert_array_equal(new.mask.ravel(), want)
  assert new.mask.sum() == 360
  np.testing.assert_array_equal(after, w * (state.mask & new.mask))


def test_the_share_exchanged_falls_as_a_cosine():
  comp = jc.rigl(0.5, end=400, every=100)
  w, state = comp.init(jnp.ones(20000))
  grads = jnp.where(state.mask, 0.0, 1.0)
  moved = []
  for calls in (0, 100, 200, 300, 400):
    now = state._replace(calls=jnp.int32(calls))
    _, new = update(comp)(w, now, grads)
    assert new.mask.sum() == 10000
    moved.append(int((new.mask & ~state.mask).sum()))
  # Of 10,000: 0.3, 0.2561, 0.15, 0.0439, 0.
  assert moved == [3000, 2561, 1500, 439, 0]


def test_gradients_reach_the_other_weights_in_steps_that_exchange():
  comp = jc.rigl(0.5, end=5, every=3)
  w, state = comp.init(jnp.arange(8.0))  # one of them is zero
  for calls, reaches in ((0, True), (1, False), (3, True), (6, False)):
    now = state._replace(calls=jnp.int32(calls))
    view, pull = jax.vjp(lambda l, s=now: comp.view(l, s), w)
    np.testing.assert_array_equal(view, w * state.mask)
    (grad,) = pull(jnp.ones(8))
    want = state.mask | (jnp.arange(8) > 0) if reaches else state.mask
    np.testing.assert_array_equal(grad, want.astype(float))


def train(comp, tx, w, steps):
  """Pulls all weights to three; a record of weights, masks and optimizer."""

  @jax.jit
  def step(w, state, opt_state):
    grads = jax.grad(lambda l: ((comp.view(l, state) - 3) ** 2).sum() / 2)(w)
    updates, opt_state = tx.update(grads, opt_state, w)
    w, state = comp.update(optax.apply_updates(w, updates), state, grads)
    return w, state, opt_state

  w, state = comp.init(w)
  carries = [(w, state, tx.init(w))]
  for _ in range(steps):
    carries.append(step(*carries[-1]))
  return carries


@pytest.mark.parametrize(
  'tx', [optax.sgd(0.1, momentum=0.9), optax.adamw(0.1, weight_decay=0.1)]
)
def test_what_is_not_active_never_moves_and_what_grows_starts_at_zero(tx):
  carries = train(jc.rigl(0.6, end=9, every=3), tx, numbers(2, (50,)), 9)
  grown = 0
  active = carries[0][1].mask.sum()
  for (_, old, _), (w, state, _) in zip(carries, carries[1:], strict=False):
    assert not w[~state.mask].any() and state.mask.sum() == active
    new = state.mask & ~old.mask
    assert not w[new].any()
    grown += int(new.sum())
  assert grown >= 3


def test_momentum_of_a_weight_that_grows_is_that_one_gradient():
  comp = jc.rigl(0.5, end=2, every=2, fraction=0.5)
  tx = optax.sgd(0.1, momentum=0.9)
  carries = train(comp, tx, jnp.array([1.0, 1.0, 1.0, 1.0]), 2)
  _, first, opt_state = carries[1]
  (trace,) = [x for x in jax.tree.leaves(opt_state) if x.shape == (4,)]
  grown = first.mask & ~carries[0][1].mask
  assert grown.sum() == 1
  np.testing.assert_array_equal(trace[grown], [-3])
  (trace,) = [x for x in jax.tree.leaves(carries[2][2]) if x.shape == (4,)]
  never = ~first.mask & ~carries[0][1].mask
  np.testing.assert_allclose(trace[never], [0.9 * -3])


def test_what_grows_back_at_once_keeps_its_value():
  comp = jc.rigl(0.5, end=2, every=1, fraction=1.0)
  w, state = comp.init(jnp.array([1.0, 2.0, 3.0, 4.0]))
  after, new = comp.update(w, state, w)
  np.testing.assert_array_equal(new.mask, state.mask)
  np.testing.assert_array_equal(after, w)


def test_a_pruned_network_changes_only_where_zeros_may_grow():
  w = jnp.where(jnp.arange(40) % 4 == 0, 1.0, 0.0)
  grads = jnp.where(w == 0, jnp.arange(40.0), 0)
  for zeros_grow in (False, True):
    comp = jc.rigl(0.75, end=9, fraction=0.5, zeros_grow=zeros_grow)
    start, state = comp.init(w)
    np.testing.assert_array_equal(start, w)
    _, new = comp.update(start, state, grads)
    assert new.mask.sum() == 10
    assert (new.mask[w == 0].sum() == 5) == zeros_grow


def test_it_works_inside_an_optimizer():
  params = {'w': jnp.array([5.0, 4.0, 3.0, 2.0])}
  comp = jc.rigl(0.5, end=9, fraction=0.5)
  tx = jc.as_optax(comp, optax.sgd(0.1))
  state = tx.init(params)
  active = state.state.mask['w']
  grads = {'w': jnp.where(active, 0.0, jnp.array([1.0, 2.0, 3.0, 4.0]))}
  updates, state = tx.update(grads, state, params)
  shown = optax.apply_updates(params, updates)['w']
  largest = int(jnp.argmax(grads['w']))
  assert state.state.mask['w'][largest] and shown[largest] == 0
  assert state.state.mask['w'].sum() == 2


def test_densities_may_be_a_function():
  params = {'a': jnp.ones(10), 'b': jnp.ones(10)}
  comp = jc.rigl(0.5, end=9, densities=lambda p, s: {'a': 1.0, 'b': 0.2})
  mask = comp.init(params)[1].mask
  assert mask['a'].all() and mask['b'].sum() == 2


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'sparsity': 90}, 'fraction in 0 .. 1'),
    ({'end': 0}, 'end is 0'),
    ({'every': 0}, 'every is 0'),
    ({'fraction': 1.5}, 'fraction is 1.5'),
    ({'densities': 'erk'}, "densities is 'erk'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.rigl(**{'sparsity': 0.5, 'end': 9, **arguments})

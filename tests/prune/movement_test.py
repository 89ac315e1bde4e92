import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jcompress as jc

W = jnp.array([0.5, -2.0, 1.0, -0.25])


@functools.cache
def update(comp):
  return jax.jit(comp.update)


@functools.cache
def keeps_as_many_as_calls():
  return jc.movement_prune(lambda calls: 1 - calls / 8)


def scored(comp, scores, calls=0, w=None):
  """What the mask is once the scores have these values."""
  scores = jnp.asarray(scores, jnp.float32)
  latent, state = comp.init(jnp.ones_like(scores) if w is None else w)
  latent = latent._replace(value=latent.value._replace(scores=scores))
  state = state._replace(calls=jnp.int32(calls))
  _, state = update(comp)(latent, state, latent)
  return state.mask


values = st.lists(
  st.sampled_from([-3.0, -1.0, -0.5, 0.0, 1e-30, 0.5, 1.0, 2.0]),
  min_size=8,
  max_size=8,
)


@given(values, st.integers(0, 8))
def test_keeps_exactly_the_highest_scores_of_either_sign(scores, keep):
  mask = np.asarray(scored(keeps_as_many_as_calls(), scores, calls=keep))
  assert mask.sum() == keep
  kept, gone = np.array(scores)[mask], np.array(scores)[~mask]
  assert not (keep and keep < 8) or kept.min() >= gone.max()


def test_weights_learn_where_they_are_kept_and_scores_everywhere():
  comp = jc.movement_prune(0.5)
  latent, state = comp.init(W)
  state = state._replace(mask=jnp.array([True, False, True, False]))
  view, pull = jax.vjp(lambda l: comp.view(l, state), latent)
  np.testing.assert_array_equal(view, [0.5, 0, 1, 0])
  (grad,) = pull(jnp.array([1.0, 2.0, 3.0, 4.0]))
  np.testing.assert_array_equal(grad.value.weights, [1, 0, 3, 0])
  np.testing.assert_array_equal(grad.value.scores, [0.5, -4, 3, -1])


def test_scores_add_up_the_movement_away_from_zero():
  comp = jc.movement_prune(0.5)
  (latent, state), rate = comp.init(W), 0.1
  target = jnp.array([0.0, -3.0, 0.0, -1.0])
  moved = np.zeros(4)

  @jax.jit
  def step(latent, state):
    loss = lambda l: ((comp.view(l, state) - target) ** 2).sum() / 2
    grads = jax.grad(loss)(latent)
    latent = jax.tree.map(lambda l, g: l - rate * g, latent, grads)
    return *comp.update(latent, state, grads), grads

  for _ in range(5):
    seen, w = comp.view(latent, state), latent.value.weights
    latent, state, _ = step(latent, state)
    moved -= rate * np.asarray((seen - target) * w)
  np.testing.assert_allclose(latent.value.scores, moved, rtol=1e-5)
  # What shrinks goes, however large it is; magnitude would keep the third.
  np.testing.assert_array_equal(state.mask, [0, 1, 0, 1])


def test_soft_pruning_keeps_what_passes_the_threshold():
  scores = [-3.0, -2.0, -2.3, 0.0, 5.0]
  comp = jc.movement_prune(threshold=0.1)  # sigmoid(-2.197) is 0.1
  np.testing.assert_array_equal(scored(comp, scores), [0, 1, 0, 1, 1])
  assert scored(jc.movement_prune(threshold=0.0), scores).all()
  rises = jc.movement_prune(threshold=lambda calls: 0.1 * calls)
  kept = [int(scored(rises, scores, calls).sum()) for calls in (0, 1, 5)]
  assert kept == [5, 3, 1]


def test_soft_pruning_always_leaves_the_least_density():
  scores = -10 - jnp.arange(10.0)
  for density, kept in ((0.0, 0), (0.005, 1), (0.25, 3)):
    comp = jc.movement_prune(threshold=0.1, min_density=density)
    mask = scored(comp, scores)
    np.testing.assert_array_equal(mask, jnp.arange(10) < kept)


def test_penalty_is_the_mean_sigmoid_of_all_live_scores():
  comp = jc.movement_prune(threshold=0.1, strength=lambda calls: 2.0 * calls)
  latent, state = comp.init({'a': jnp.array([1.0, 0.0]), 'b': jnp.ones(2)})
  scores = {'a': jnp.array([0.0, 9.0]), 'b': jnp.log(jnp.array([3.0, 1 / 3]))}
  latent = {
    k: x._replace(value=x.value._replace(scores=scores[k]))
    for k, x in latent.items()
  }
  state = state._replace(calls=jnp.int32(5))
  got = comp.penalty(latent, state)
  np.testing.assert_allclose(got, 10 * (0.5 + 0.75 + 0.25) / 3, rtol=1e-6)


def test_weights_that_start_at_zero_are_never_kept():
  w = jnp.array([0.0, 1.0, 0.0, 2.0])
  for comp in (jc.movement_prune(0.25), jc.movement_prune(threshold=0.1)):
    mask = scored(comp, [9.0, 0.0, 9.0, 1.0], w=w)
    np.testing.assert_array_equal(mask, [0, 1, 0, 1])


def test_labels_give_the_scores_a_rate_of_their_own():
  comp = jc.select('a', jc.movement_prune(0.5))
  latent, _ = comp.init({'a': jnp.ones(2), 'b': jnp.ones(2)})
  labels = jc.movement_labels(latent)
  assert jax.tree.structure(labels) == jax.tree.structure(latent)
  rates = {'weights': optax.sgd(0.5), 'scores': optax.sgd(0.25)}
  tx = optax.partition(rates, jc.movement_labels)
  ones = jax.tree.map(jnp.ones_like, latent)
  updates, _ = tx.update(ones, tx.init(latent), latent)
  part = updates['a'].value
  np.testing.assert_array_equal(part.scores, [-0.25, -0.25])
  np.testing.assert_array_equal(part.weights, [-0.5, -0.5])
  np.testing.assert_array_equal(updates['b'], [-0.5, -0.5])


def test_half_precision_weights_have_scores_in_full():
  comp = jc.movement_prune(0.5)
  latent, state = comp.init(jnp.array([1.0, 3.0], jnp.bfloat16))
  grad = jax.grad(lambda l: comp.view(l, state).sum().astype(jnp.float32))
  scores = grad(latent).value.scores
  assert scores.dtype == jnp.float32
  np.testing.assert_array_equal(scores, [1, 3])


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'sparsity': 0.5, 'threshold': 0.1}, 'exactly one'),
    ({'sparsity': 1.5}, 'fraction in 0 .. 1'),
    ({'sparsity': 0.5, 'strength': 0.1}, 'only on soft pruning'),
    ({'threshold': 0.5}, 'threshold is 0.5'),
    ({'threshold': 0.1, 'strength': -1.0}, 'strength is -1.0'),
    ({'threshold': 0.1, 'min_density': 2.0}, 'min_density is 2.0'),
    ({'sparsity': 0.5, 'every': 0}, 'every is 0'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.movement_prune(**arguments)


def test_what_it_prunes_is_not_known_before_a_gradient():
  params = {'w': jnp.array([1.0, -2.0, 3.0, 4.0])}
  comp = jc.movement_prune(0.5)
  latent, state = comp.init(params)
  with pytest.raises(ValueError, match='sparsity 0.5 cannot ship before it'):
    comp.encode(latent, state)
  jax.eval_shape(comp.encode, latent, state)
  latent, state = comp.update(latent, state, latent)
  shipped = jc.decode(comp.encode(latent, state))
  assert np.count_nonzero(shipped['w']) == 2
  dense = jc.movement_prune(optax.constant_schedule(0.0))
  shipped = jc.decode(dense.encode(*dense.init(params)))
  np.testing.assert_array_equal(shipped['w'], params['w'])

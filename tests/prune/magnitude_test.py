import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.prune import magnitude

W = jnp.array([0.05, -0.02, 0.11, -0.3, 0.0, 0.21])


def updated(comp, w, calls=1, grad=None):
  latent, state = comp.init(w)
  grads = jax.tree.map(jnp.zeros_like, latent) if grad is None else grad
  for _ in range(calls):
    latent, state = comp.update(latent, state, grads)
  return latent, state


def test_quality_prunes_below_a_multiple_of_the_standard_deviation():
  _, state = updated(jc.magnitude_prune(quality=1.0), W)
  np.testing.assert_array_equal(state.mask, [0, 0, 0, 1, 0, 1])
  _, state = updated(jc.magnitude_prune(quality=0.11 / 0.1574184), W)
  assert state.mask.sum() == 2, 'the threshold itself is pruned'


def test_global_quality_takes_one_deviation_for_all_layers():
  comp = jc.magnitude_prune(quality=0.95, scope='global')
  _, state = updated(comp, {'a': W, 'b': 10 * W})
  assert not state.mask['a'].any()
  np.testing.assert_array_equal(state.mask['b'], [0, 0, 1, 1, 0, 1])


@pytest.mark.parametrize('sparsity', [0.0, 0.05, 0.5, 0.9, 0.999, 1.0])
def test_the_sparsity_asked_for_is_reached_exactly(sparsity):
  w = jax.random.normal(jax.random.key(0), (30, 7)).round(1) + 0.01
  for s in (sparsity, lambda _: sparsity):
    _, state = updated(jc.magnitude_prune(s), w)
    assert (~state.mask).sum() == round(sparsity * 210)


def test_zeros_count_as_pruned():
  w = jnp.array([0.0, 0.0, 3.0, 1.0])
  _, state = updated(jc.magnitude_prune(0.75), w)
  np.testing.assert_array_equal(state.mask, [0, 0, 1, 0])


def test_global_scope_ranks_layers_together():
  params = {'a': jnp.array([0.1, 0.2]), 'b': jnp.array([3.0, 4.0])}
  _, layer = updated(jc.magnitude_prune(0.5), params)
  _, both = updated(jc.magnitude_prune(0.5, scope='global'), params)
  np.testing.assert_array_equal(layer.mask['a'], [0, 1])
  np.testing.assert_array_equal(both.mask['a'], [0, 0])
  np.testing.assert_array_equal(both.mask['b'], [1, 1])


def test_refreshes_in_the_first_call_and_then_every_so_often():
  comp = jc.magnitude_prune(
    jc.schedules.cubic_sparsity(1, begin=0, end=6), every=3
  )
  latent, state = comp.init(jnp.arange(1.0, 28.0))
  kept = []
  for _ in range(8):
    latent, state = comp.update(latent, state, jnp.zeros(27))
    kept.append(int(state.mask.sum()))
  assert kept == [27, 27, 27, 3, 3, 3, 0, 0]


def test_pruned_weights_get_no_gradient():
  comp = jc.magnitude_prune(0.5)
  latent, state = updated(comp, W)
  grad = jax.grad(lambda l: comp.view(l, state).sum())(latent)
  np.testing.assert_array_equal(grad, state.mask.astype(float))


def test_the_mask_is_ranked_on_the_dense_weights():
  comp = jc.magnitude_prune(0.5)
  latent, state = updated(comp, jnp.array([1.0, 2.0, 3.0, 4.0]))
  latent = latent.at[3].set(0.5)
  _, state = comp.update(latent, state, jnp.zeros(4))
  np.testing.assert_array_equal(state.mask, [0, 1, 1, 0])


@pytest.mark.parametrize(
  'tx', [optax.sgd(0.1, momentum=0.9), optax.adamw(0.1, weight_decay=0.1)]
)
def test_momentum_and_decay_do_not_revive_pruned_weights(tx):
  comp = jc.magnitude_prune(0.5, every=1000)
  latent, state = comp.init(W)
  opt_state = tx.init(latent)
  for _ in range(20):
    grads = jax.grad(lambda l, s=state: ((comp.view(l, s) - 1) ** 2).sum())(
      latent
    )
    updates, opt_state = tx.update(grads, opt_state, latent)
    latent = optax.apply_updates(latent, updates)
    latent, state = comp.update(latent, state, grads)
    assert (comp.view(latent, state) == 0).sum() >= 3


def test_rewinding_resets_what_is_left_to_its_start():
  comp = jc.magnitude_prune(0.5, every=2, rewind=True)
  latent, state = updated(comp, W)
  latent, state = comp.update(latent + 1, state, W)
  np.testing.assert_array_equal(latent, W + 1)
  latent, state = comp.update(latent, state, W)
  np.testing.assert_array_equal(latent, W)
  np.testing.assert_array_equal(comp.view(latent, state), W * state.mask)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'sparsity': 0.5, 'quality': 1.0}, 'exactly one'),
    ({'sparsity': 90}, 'fraction in 0 .. 1'),
    ({'sparsity': -0.1}, 'fraction in 0 .. 1'),
    ({'sparsity': 0.5, 'every': 0}, 'every is 0'),
    ({'sparsity': 0.5, 'scope': 'model'}, "'layer' or 'global'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.magnitude_prune(**arguments)


@pytest.mark.parametrize(
  ('size', 'kept'),
  [(2**24 + 1, 1_677_722), (2**31, 214_748_365), (10**10, 10**9)],
)
def test_counts_are_exact_for_any_number_of_weights(size, kept):
  like = {'w': jax.ShapeDtypeStruct((size,), jnp.float32)}
  schedule = optax.constant_schedule(jnp.float32(0.9))
  for sparsity in (0.9, schedule):
    assert int(magnitude.kept_count(sparsity, like, jnp.int32(0))) == kept


def test_global_scope_takes_more_weights_than_32_bits_count():
  like = {k: jax.ShapeDtypeStruct((2**30, 2), jnp.float32) for k in 'ab'}
  for sparsity in (0.9, lambda _: jnp.float32(0.9)):
    comp = jc.magnitude_prune(sparsity, scope='global')
    latent, state = jax.eval_shape(comp.init, like)
    _, after = jax.eval_shape(comp.update, latent, state, latent)
    assert after.mask['a'].shape == (2**30, 2)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

PARAMS = {
  'a': {'kernel': jnp.array([1.0, 2.0, 3.0, 4.0]), 'bias': jnp.ones(2)},
  'b': {'kernel': jnp.array([5.0, 6.0]), 'bias': jnp.zeros(2)},
}


def scale(factor):
  """Shows the weights times a factor, and penalizes their sum."""
  return jc.leafwise(
    init=lambda w: (w, ()),
    view=lambda w, s: factor * w,
    encode=lambda w, s: jc.encoded.Dense(factor * w),
    penalty=lambda w, s: w.sum(),
    update=lambda w, s, g: (w - g, s),
  )


def test_partition_gives_each_leaf_to_the_first_rule():
  comp = jc.partition(('a/.*', scale(10)), ('.*/kernel', scale(100)))
  latent, state = comp.init(PARAMS)
  view = comp.view(latent, state)
  np.testing.assert_array_equal(view['a']['bias'], [10, 10])
  np.testing.assert_array_equal(view['b']['kernel'], [500, 600])
  np.testing.assert_array_equal(view['b']['bias'], [0, 0])
  assert comp.penalty(latent, state) == 10 + 2 + 11
  grads = jax.tree.map(jnp.ones_like, latent)
  latent, state = comp.update(latent, state, grads)
  view = comp.view(latent, state)
  np.testing.assert_array_equal(view['b']['kernel'], [400, 500])
  np.testing.assert_array_equal(view['b']['bias'], [0, 0])


def test_encode_puts_encoded_leaves_and_dense_rest_together():
  comp = jc.select('a/kernel', jc.magnitude_prune(0.5))
  encoded = comp.encode(*comp.init(PARAMS))
  kinds = jax.tree.map(
    lambda e: type(e).__name__, encoded, is_leaf=jc.encoded.is_encoded
  )
  assert kinds == {
    'a': {'kernel': 'Sparse', 'bias': 'Dense'},
    'b': {'kernel': 'Dense', 'bias': 'Dense'},
  }


def test_partition_refuses_rules_that_do_nothing():
  with pytest.raises(ValueError, match='at least one'):
    jc.partition()
  rules = (jc.KERNELS, scale(2)), ('b/kernel', scale(3))
  with pytest.raises(ValueError, match='an earlier pattern'):
    jc.partition(*rules).init(PARAMS)


def test_chain_flows_left_to_right():
  add = jc.leafwise(
    init=lambda w: (w, ()),
    view=lambda w, s: w + 1,
    encode=lambda w, s: jc.encoded.Dense(w + 1),
  )
  comp = jc.chain(scale(10), add, scale(2))
  latent, state = comp.init(PARAMS)
  np.testing.assert_array_equal(
    comp.view(latent, state)['b']['kernel'], [102, 122]
  )
  np.testing.assert_array_equal(
    jc.decode(comp.encode(latent, state))['b']['kernel'], [102, 122]
  )


def test_later_compressors_refresh_on_what_the_first_shows():
  comp = jc.chain(scale(-1), jc.magnitude_prune(0.5))
  latent, state = comp.init({'w': jnp.array([1.0, -2.0, 3.0, -4.0])})
  latent, state = comp.update(
    latent, state, jax.tree.map(jnp.zeros_like, latent)
  )
  np.testing.assert_array_equal(comp.view(latent, state)['w'], [0, 0, -3, 4])


def test_the_update_of_a_later_compressor_does_not_move_the_latent():
  comp = jc.chain(jc.magnitude_prune(0.0), scale(1))
  latent, state = comp.init(PARAMS)
  after, _ = comp.update(latent, state, jax.tree.map(jnp.ones_like, latent))
  np.testing.assert_array_equal(after['b']['kernel'], [5, 6])


def test_a_structural_compressor_must_come_first():
  with pytest.raises(ValueError, match='move the one that does'):
    jc.chain(jc.magnitude_prune(0.5), jc.kmeans_share(k=2)).init(PARAMS)

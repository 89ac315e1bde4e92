import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compressors import scale

import jcompress as jc

PARAMS = {
  'a': {'kernel': jnp.array([1.0, 2.0, 3.0, 4.0]), 'bias': jnp.ones(2)},
  'b': {'kernel': jnp.array([5.0, 6.0]), 'bias': jnp.zeros(2)},
}


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
  with pytest.raises(ValueError, match='a/kernel.*move it to the front'):
    jc.chain(jc.magnitude_prune(0.5), jc.kmeans_share(k=2)).init(PARAMS)


def test_selected_compressors_chain():
  half, tenfold = jc.magnitude_prune(0.5), scale(10)
  for comp in (
    jc.chain(jc.select('a/kernel', half), jc.select('b/kernel', tenfold)),
    jc.chain(half, jc.select('b/kernel', tenfold)),
  ):
    latent, state = comp.init(PARAMS)
    view = comp.view(latent, state)
    np.testing.assert_array_equal(view['a']['kernel'], [0, 0, 3, 4])
    assert view['b']['kernel'][1] == 60
    latent, state = comp.update(latent, state, latent)
    encoded = comp.encode(latent, state)
    view = comp.view(latent, state)
    for a, b in zip(
      jax.tree.leaves(jc.decode(encoded)), jax.tree.leaves(view), strict=True
    ):
      np.testing.assert_array_equal(a, b)


def test_a_chain_names_the_leaves_of_another_form():
  later = jc.select('a/.*', jc.kmeans_share(k=3))
  with pytest.raises(ValueError, match='and a/bias, a/kernel are kept so'):
    jc.chain(jc.select(jc.KERNELS, jc.magnitude_prune(0.5)), later).init(PARAMS)

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

R = np.random.RandomState
PARAMS = {
  'a': {'kernel': jnp.float32(R(0).randn(8, 6))},
  'b': {'kernel': jnp.float32(R(1).randn(3, 3, 4, 5))},
  'c': {'kernel': jnp.bfloat16(R(2).randn(8, 6))},
}


def test_the_network_is_at_first_what_it_was():
  comp = jc.low_rank_adapt(2, 4.0)
  latent, state = comp.init(PARAMS)
  for mine, was in zip(
    jax.tree.leaves(comp.view(latent, state)),
    jax.tree.leaves(PARAMS),
    strict=True,
  ):
    np.testing.assert_array_equal(mine, was)
    assert mine.dtype == was.dtype
  a, b = (latent[k]['kernel'].value for k in 'ab')
  assert (a.left.shape, a.right.shape) == ((8, 2), (2, 6))
  assert (b.left.shape, b.right.shape) == ((3, 3, 4, 2), (1, 1, 2, 5))
  assert a.left.any() and not a.right.any()
  # Arrays of one shape have draws of their own.
  assert (a.left != latent['c']['kernel'].value.left).any()


def test_the_view_is_the_kernel_and_its_change():
  comp = jc.low_rank_adapt(2, 4.0)
  latent, state = comp.init({'b': PARAMS['b']})
  adapter = latent['b']['kernel'].value
  right = jnp.float32(R(3).randn(1, 1, 2, 5))
  latent['b']['kernel'] = latent['b']['kernel']._replace(
    value=adapter._replace(right=right)
  )
  change = np.einsum('hwir,xyro->hwio', adapter.left, right)
  want = PARAMS['b']['kernel'] + 4.0 / 2 * change
  found = comp.view(latent, state)['b']['kernel']
  np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)
  leaf = comp.encode(latent, state)['b']['kernel']
  assert isinstance(leaf, jc.encoded.Dense)
  np.testing.assert_array_equal(leaf.decode(), found)


def test_training_moves_the_kernel_by_its_rank_alone():
  w = PARAMS['a']['kernel']
  target = w + jnp.float32(R(4).randn(8, 2) @ R(5).randn(2, 6))
  comp, tx = jc.low_rank_adapt(2, 2.0), optax.adam(0.03)
  loss = lambda w, batch: jnp.mean((w - target) ** 2)
  step, state = jc.train_step(loss, comp, tx), jc.init_train_state(comp, tx, w)
  for _ in range(300):
    state, metrics = step(state, None)
  assert metrics['loss'] < 1e-3
  s = np.linalg.svd(comp.view(state.latent, state.state) - w, compute_uv=False)
  assert s[2] < 1e-4 * s[0]
  np.testing.assert_array_equal(state.state, w)


def test_bad_arguments_are_refused():
  for rank, alpha in ((0, 1.0), (1, 0.0), (1, -1.0), (1, np.inf)):
    with pytest.raises(ValueError, match='must be >= 1 and > 0'):
      jc.low_rank_adapt(rank, alpha)
  with pytest.raises(ValueError, match='no two factors'):
    jc.low_rank_adapt(1, 1.0).init(jnp.ones(3))

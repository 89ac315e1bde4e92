import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded

Y, X = np.indices((5, 5))
PATCH = np.sin(Y / 2) + np.cos(X / 3)
EVERY_THIRD = tuple(range(0, 25, 3))


def test_a_smooth_patch_from_every_third_of_its_points():
  comp = jc.predicted(EVERY_THIRD, 1.5, 1e-3)
  w = jnp.float32(PATCH[..., None, None])
  latent, state = comp.init(w)
  assert latent.shape == (9, 1, 1)
  np.testing.assert_array_equal(latent[:, 0, 0], w.reshape(25)[::3])
  found = np.float64(comp.view(latent, state)).reshape(25)
  np.testing.assert_allclose(np.square(PATCH).sum(), 50.722864, rtol=1e-6)
  error = np.square(found - PATCH.reshape(25)).sum()
  np.testing.assert_allclose(error, 0.173785, rtol=1e-4)
  np.testing.assert_allclose(
    found[1:4], [0.972225, 0.739789, 0.540353], rtol=1e-4
  )


def test_a_matrix_may_have_a_grid_of_inputs():
  comp = jc.predicted(EVERY_THIRD, 1.5, 1e-3, grid=(5, 5))
  w = jnp.float32(np.stack([PATCH.reshape(25), -PATCH.reshape(25)], 1))
  view = comp.view(*comp.init(w))
  assert view.shape == (25, 2)
  np.testing.assert_allclose(view[:, 0], -view[:, 1], atol=1e-6)
  np.testing.assert_allclose(
    view[1:4, 0], [0.972225, 0.739789, 0.540353], rtol=1e-4
  )
  row = jc.predicted(EVERY_THIRD, 1.5, 1e-3)
  assert np.abs(row.view(*row.init(w)) - view).max() > 0.05


def test_all_positions_and_no_ridge_are_the_kernel():
  w = jnp.float32(np.random.RandomState(0).randn(3, 3, 2, 4))
  comp = jc.predicted(1.0, 0.5, 1e-6)
  np.testing.assert_allclose(comp.view(*comp.init(w)), w, atol=1e-4)


def test_gradients_reach_the_trained_weights_by_their_neighbors():
  comp = jc.predicted((0, 2), 1.0, 1e-3)
  w = jnp.zeros((3, 2))
  latent, state = comp.init(w)
  grad = jax.grad(lambda l: comp.view(l, state)[1, 0])(latent)
  np.testing.assert_allclose(grad, [[state.value[1, 0], 0]] * 2, atol=1e-6)
  assert grad[0, 0] > 0.4


def test_what_is_shipped_is_the_dictionary_and_the_weights():
  w = jnp.float32(np.random.RandomState(0).randn(12, 40))
  comp = jc.predicted(0.25)
  latent, state = comp.init(w)
  leaf = comp.encode(latent, state)
  assert isinstance(leaf, encoded.Factors)
  assert leaf.bits() == 32 * (12 * 3 + 3 * 40)
  read = jc.unpack(jc.pack(leaf)).tree
  np.testing.assert_array_equal(jc.decode(read), comp.view(latent, state))


def test_bad_arguments_are_refused():
  for bad in ({'width': 0.0}, {'ridge': 0.0}, {'width': np.inf}):
    with pytest.raises(ValueError, match='must be finite and > 0'):
      jc.predicted(0.5, **bad)
  with pytest.raises(ValueError, match='subset is 1.5'):
    jc.predicted(1.5)
  for subset in ((), (3,), (-1,)):
    with pytest.raises(ValueError, match='positions in 0 .. 2'):
      jc.predicted(subset).init(jnp.ones((3, 2)))
  with pytest.raises(ValueError, match='must multiply to that'):
    jc.predicted(0.5, grid=(5, 5)).init(jnp.ones((24, 2)))
  with pytest.raises(ValueError, match='two axes or more'):
    jc.predicted(0.5).init(jnp.ones(3))

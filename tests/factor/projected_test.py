import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor.projected import projected

W = {'kernel': jnp.ones((2, 2))}


@pytest.mark.parametrize(
  ('every', 'want'), [(1, [0, 1, 3, 6]), (2, [0, 1, 1, 4])]
)
def test_weights_change_after_every_few_updates(every, want):
  """The change adds how many updates there were before."""
  add = lambda w, calls: {'kernel': w['kernel'] + calls}
  comp = projected(add, every)
  latent, state = comp.init(W)
  for i, total in enumerate(want):
    latent, state = comp.update(latent, state, W)
    assert latent['kernel'][0, 0] == 1 + total, i
  assert state.calls == len(want)


def test_what_ships_may_be_changed_once_more():
  comp = projected(
    lambda w, calls: w, 1, ship=lambda w: {'kernel': 3 * w['kernel']}
  )
  latent, state = comp.init(W)
  np.testing.assert_array_equal(comp.view(latent, state)['kernel'], 1)
  np.testing.assert_array_equal(comp.encode(latent, state)['kernel'].values, 3)


def test_vectors_are_no_kernels():
  with pytest.raises(ValueError, match='b of shape .* is no kernel'):
    projected(lambda w, calls: w, 1).init({'b': jnp.ones(3)})

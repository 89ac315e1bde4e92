import jax
import jax.numpy as jnp
import optax
import pytest

import jcompress as jc
from jcompress.optimizer import (
  require_optimizer,
  require_same_optimizer,
  start_optimizer,
)

PARAMS = {'a': {'kernel': jnp.ones((4, 2))}, 'b': {'kernel': jnp.ones((2, 3))}}
DECAYED = {'a': {'kernel': True}, 'b': {'kernel': False}}


def test_a_mask_of_the_params_fits_a_latent_of_their_form():
  latent, _ = jc.select('a/kernel', jc.magnitude_prune(0.5)).init(PARAMS)
  tx = optax.adamw(1e-3, mask=DECAYED)
  state = start_optimizer(tx, latent, PARAMS)
  assert jax.tree.structure(state) == jax.tree.structure(tx.init(PARAMS))


def test_where_one_latent_stands_for_several_leaves_they_are_named():
  comp = jc.select('.*/kernel', jc.hessian_kmeans_share(k=3))
  latent, _ = comp.init(PARAMS)
  tx = optax.adamw(1e-3, mask=DECAYED)
  with pytest.raises(ValueError, match='stands for a/kernel, b/kernel togeth'):
    start_optimizer(tx, latent, PARAMS)


def test_what_is_wrong_with_the_optimizer_itself_is_not_hidden():
  def broken(params):
    raise ZeroDivisionError('of its own')

  tx = optax.GradientTransformation(broken, None)
  with pytest.raises(ZeroDivisionError, match='of its own'):
    start_optimizer(tx, PARAMS, PARAMS)


def test_only_an_optimizer_is_one():
  require_optimizer(optax.MultiSteps(optax.sgd(0.1), 2), 'here')
  for wrong in (jc.identity(), optax.adam, 0.1):
    with pytest.raises(ValueError, match='here takes an optimizer such as'):
      require_optimizer(wrong, 'here')


def test_the_state_of_another_optimizer_is_refused():
  state = optax.adam(0.1).init(PARAMS)
  require_same_optimizer(optax.adam(0.2), PARAMS, state)
  with pytest.raises(ValueError, match='is not the one with which the train'):
    require_same_optimizer(optax.sgd(0.1), PARAMS, state)

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress import tree

TRAINED = {'a': jnp.array([0.1, -3.0, 2.0, 0.5]), 'b': jnp.array([9.0, -8.0])}
ALL = jax.tree.map(lambda w: w != 0, TRAINED)


def test_prunes_the_smallest_survivors_of_all_arrays():
  mask = jc.ticket_mask(TRAINED, ALL, 0.5)
  np.testing.assert_array_equal(mask['a'], [0, 1, 0, 0])
  np.testing.assert_array_equal(mask['b'], [1, 1])
  mask = jc.ticket_mask(TRAINED, ALL, 0.5, scope='layer')
  np.testing.assert_array_equal(mask['a'], [0, 1, 1, 0])
  np.testing.assert_array_equal(mask['b'], [1, 0])


def test_twenty_percent_of_the_survivors_go_in_each_round():
  w = {'w': jax.random.normal(jax.random.key(0), (25, 20)).round(1)}
  mask, left = jax.tree.map(lambda x: jnp.ones_like(x, bool), w), []
  for _ in range(4):
    old, mask = mask, jc.ticket_mask(w, mask)
    assert not (mask['w'] & ~old['w']).any()
    left.append(int(mask['w'].sum()))
  assert left == [400, 320, 256, 205]


def test_rounds_begin_again_with_weights_optimizer_and_schedule():
  key = jax.random.key(0)
  start = {
    'fc': {'kernel': jax.random.normal(key, (4, 5)), 'bias': jnp.ones(5)}
  }
  rate = optax.linear_schedule(0.1, 0.0, 3)
  tx = optax.sgd(rate, momentum=0.9)
  loss = lambda p, x: jnp.mean((x @ p['fc']['kernel'] + p['fc']['bias']) ** 2)
  mask = jax.tree.map(lambda w: w != 0, tree.split(jc.KERNELS, start)[0])
  for kept in (20, 10, 5):
    comp = jc.select(jc.KERNELS, jc.with_mask(mask))
    ts = jc.init_train_state(comp, tx, start)
    shown = comp.view(ts.latent, ts.state)['fc']
    np.testing.assert_array_equal(
      shown['kernel'], start['fc']['kernel'] * mask['fc']['kernel']
    )
    np.testing.assert_array_equal(shown['bias'], start['fc']['bias'])
    assert not any(np.any(x) for x in jax.tree.leaves(ts.opt_state))
    assert (shown['kernel'] != 0).sum() == kept
    step = jc.train_step(loss, comp, tx)
    for _ in range(3):
      ts, _ = step(ts, jnp.ones((2, 4)))
    trained = comp.view(ts.latent, ts.state)
    mask = jc.ticket_mask(tree.split(jc.KERNELS, trained)[0], mask, 0.5)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'mask': ALL, 'fraction': 1.2}, 'fraction is 1.2'),
    ({'mask': ALL, 'scope': 'model'}, "'layer' or 'global'"),
    ({'mask': {'a': ALL['a']}}, 'The mask has the leaves'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.ticket_mask(TRAINED, **arguments)

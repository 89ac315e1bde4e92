"""Labels of look-ups and random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
from rules import Walk

from jcompress.channels import elementwise, shapes
from jcompress.channels.indexing import RULES

ALL = {**elementwise.RULES, **shapes.RULES, **RULES}
X = jnp.zeros((4, 3))


def test_rows_that_are_looked_up_stay_and_features_pass():
  f = lambda x, i: x.at[i].get(mode='promise_in_bounds')
  walk = Walk(ALL, f, X, jnp.zeros(5, np.int32))
  table, ids = walk.args
  (y,) = walk.outs
  assert 'indexed axis' in walk.reason(table, 0)
  assert walk.atoms(y, 1) == walk.atoms(table, 1)
  assert walk.atoms(y, 0) == walk.atoms(ids, 0)
  assert y.masked == (None, 0.0)
  assert not walk.analysis.unknown


def test_batched_look_ups_keep_their_batch_together():
  f = lambda x, i: jax.vmap(lambda a, b: a.at[b].get(mode='clip'))(x, i)
  walk = Walk(ALL, f, jnp.zeros((2, 4, 3)), jnp.zeros((2, 5), np.int32))
  x, ids = walk.args
  assert walk.atoms(x, 0) == walk.atoms(ids, 0)
  assert walk.is_frozen(x, 1)
  assert walk.atoms(walk.outs[0], 2) == walk.atoms(x, 2)


def test_a_dynamic_slice_freezes_the_axes_that_it_cuts():
  f = lambda x, i: jax.lax.dynamic_slice(x, (i, 0), (2, 3))
  walk = Walk(ALL, f, X, jnp.int32(1))
  assert 'dynamically sliced' in walk.reason(walk.args[0], 0)
  assert walk.atoms(walk.outs[0], 1) == walk.atoms(walk.args[0], 1)


def test_a_dynamic_update_keeps_whole_axes_together():
  f = lambda x, u, i: jax.lax.dynamic_update_slice(x, u, (i, 0))
  walk = Walk(ALL, f, X, jnp.zeros((2, 3)), jnp.int32(1))
  x, update, _ = walk.args
  assert 'dynamically updated' in walk.reason(x, 0)
  assert 'dynamically updated' in walk.reason(update, 0)
  assert walk.atoms(x, 1) == walk.atoms(update, 1)
  assert walk.outs[0].masked == (0.0, 0.0)


def test_random_numbers_can_be_cut_and_keys_cannot():
  f = lambda key: jax.random.bits(key, (4, 3))
  walk = Walk(
    {**ALL, 'jit': lambda a, s, xs: a.call(s.params['jaxpr'], xs, '')[0]},
    f,
    jax.random.key(0),
  )
  assert walk.is_free(walk.outs[0], 0) and walk.is_free(walk.outs[0], 1)
  walk = Walk(ALL, lambda key: jax.random.split(key, 3), jax.random.key(0))
  assert walk.is_frozen(walk.outs[0], 0)

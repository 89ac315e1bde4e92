"""Labels of look-ups and random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Walk

from jcompress.channels import elementwise, shapes
from jcompress.channels.indexing import RULES, _updated

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


def test_updates_of_rows_leave_the_features_as_they_are():
  f = lambda x, u, i: x.at[i].add(u, mode='drop')
  walk = Walk(ALL, f, X, jnp.zeros((5, 3)), np.zeros(5, np.int32))
  x, updates, ids = walk.args
  (y,) = walk.outs
  assert not walk.analysis.unknown
  assert walk.is_free(x, 1)
  assert walk.atoms(x, 1) == walk.atoms(updates, 1) == walk.atoms(y, 1)
  assert 'axis with updates' in walk.reason(x, 0)
  assert 'axis of updates' in walk.reason(updates, 0)
  assert walk.is_frozen(ids, 0)
  assert y.masked == (None, 0.0)


def test_batched_updates_keep_their_batch_together():
  f = jax.vmap(lambda x, u, i: x.at[i].max(u, mode='drop'))
  ids = np.zeros((2, 5), np.int32)
  walk = Walk(ALL, f, jnp.zeros((2, 4, 3)), jnp.zeros((2, 5, 3)), ids)
  x, updates, ids = walk.args
  assert walk.is_free(x, 0) and walk.is_free(x, 2)
  assert walk.atoms(x, 0) == walk.atoms(updates, 0) == walk.atoms(ids, 0)
  assert walk.atoms(walk.outs[0], 2) == walk.atoms(updates, 2)
  assert walk.is_frozen(x, 1) and walk.is_frozen(updates, 1)
  assert walk.outs[0].masked == (0.0, None, 0.0)


def test_updates_of_a_part_of_an_axis_freeze_it():
  f = lambda x, u: jax.lax.scatter(
    x,
    jnp.array([1]),
    u,
    jax.lax.ScatterDimensionNumbers((0, 1), (), (0,)),
  )
  walk = Walk(ALL, f, X, jnp.zeros((2, 3)))
  x, updates = walk.args
  assert walk.is_frozen(x, 0) and walk.is_frozen(updates, 0)
  assert walk.atoms(x, 1) == walk.atoms(updates, 1)
  assert walk.is_free(x, 1)


def test_a_function_of_what_is_there_is_not_known():
  walk = Walk(ALL, lambda x: x.at[jnp.array([1])].apply(jnp.cos), X)
  assert walk.is_frozen(walk.args[0], 1)
  assert walk.analysis.unknown['scatter'] == 1


@pytest.mark.parametrize(
  'name, old, new, result',
  [
    ('scatter', 0.0, 0.0, 0.0),
    ('scatter', 0.0, 1.0, None),
    ('scatter-add', 2.0, 0.0, 2.0),
    ('scatter-add', 0.0, 1.0, None),
    ('scatter-add', None, 0.0, None),
    ('scatter-add', 0.0, np.inf, np.nan),
    ('scatter-mul', 0.0, None, 0.0),
    ('scatter-mul', 1.0, 0.0, None),
    ('scatter-max', -np.inf, 0.0, np.nan),
    ('scatter-min', 0.0, 0.0, 0.0),
  ],
)
def test_what_a_masked_slice_holds_after_updates(name, old, new, result):
  np.testing.assert_equal(_updated(name, old, new), result)

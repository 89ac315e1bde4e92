"""Labels through primitives that only move, copy and cut entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Walk

from jcompress.channels.shapes import RULES

X = jnp.zeros((2, 6))


def test_a_broadcast_passes_what_it_maps_and_copies_the_rest():
  f = lambda x: jax.lax.broadcast_in_dim(x, (4, 6, 3), (1,))
  walk = Walk(RULES, f, jnp.zeros(6))
  (y,) = walk.outs
  assert walk.atoms(y, 1) == walk.atoms(walk.args[0], 0)
  walk.store.freeze_unanchored('copies')
  assert walk.is_frozen(y, 0) and walk.is_frozen(y, 2) and walk.is_free(y, 1)


def test_a_transposition_permutes():
  walk = Walk(RULES, lambda x: x.T, X)
  assert walk.atoms(walk.outs[0], 0) == walk.atoms(walk.args[0], 1)


def test_dropping_an_axis_of_one_index_keeps_the_others():
  f = lambda x: jax.lax.squeeze(x[:, 2:3], (1,))
  walk = Walk(RULES, f, X)
  alive = walk.store.alive(walk.args[0].labels[1])
  assert alive.tolist() == [True, True, False, True, True, True]
  assert 'single channel is selected' in walk.store.reason(
    walk.args[0].labels[1][2]
  )
  assert walk.is_free(walk.outs[0], 0)


def test_flattening_gives_products():
  walk = Walk(RULES, lambda x: x.reshape(-1), X)
  a, b = walk.atoms(walk.args[0], 0), walk.atoms(walk.args[0], 1)
  assert walk.atoms(walk.outs[0], 0) == [i | j for i in a for j in b]
  assert walk.outs[0].masked == (0.0,)


def test_heads_come_out_of_a_reshape_and_go_back():
  f = lambda x: x.reshape(2, 2, 3).reshape(2, 6)
  walk = Walk(RULES, f, X)
  assert walk.atoms(walk.outs[0], 1) == walk.atoms(walk.args[0], 1)
  assert walk.is_free(walk.args[0], 0)


def test_very_long_axes_are_not_taken_apart():
  f = lambda x: x.reshape(-1)
  walk = Walk(RULES, f, jax.ShapeDtypeStruct((1025, 1024), jnp.float32))
  assert 'more indices than can be told apart' in walk.reason(walk.args[0], 1)
  assert walk.is_frozen(walk.outs[0], 0)


def test_axes_of_size_one_come_and_go():
  f = lambda x: x.reshape(2, 1, 6, 1).reshape(2, 6)
  walk = Walk(RULES, f, X)
  assert walk.atoms(walk.outs[0], 1) == walk.atoms(walk.args[0], 1)


def test_a_concatenation_lists_and_keeps_the_other_axes_together():
  f = lambda x, y: jnp.concatenate([x, y, x], 1)
  walk = Walk(RULES, f, X, jnp.zeros((2, 3)))
  x, y = walk.args
  a, b = walk.atoms(x, 1), walk.atoms(y, 1)
  assert walk.atoms(walk.outs[0], 1) == a + b + a
  assert walk.atoms(x, 0) == walk.atoms(y, 0)
  assert walk.outs[0].masked == (0.0, 0.0)


def test_slices_are_those_of_the_labels():
  walk = Walk(RULES, lambda x: jax.lax.slice(x, (0, 1), (2, 6), (1, 2)), X)
  assert walk.atoms(walk.outs[0], 1) == walk.atoms(walk.args[0], 1)[1:6:2]


def test_a_split_cuts_where_it_says():
  walk = Walk(RULES, lambda x: jnp.split(x, [1, 4], 1), X)
  parts = [walk.atoms(out, 1) for out in walk.outs]
  assert [len(p) for p in parts] == [1, 3, 2]
  assert sum(parts, []) == walk.atoms(walk.args[0], 1)


def test_a_reversal_reverses():
  walk = Walk(RULES, lambda x: jax.lax.rev(x, (1,)), X)
  assert walk.atoms(walk.outs[0], 1) == walk.atoms(walk.args[0], 1)[::-1]


@pytest.mark.parametrize('value, masked', [(0.0, 0.0), (1.0, None)])
def test_padded_channels_are_new(value, masked):
  f = lambda x: jax.lax.pad(x, jnp.float32(value), [(0, 0, 0), (1, 2, 0)])
  walk = Walk(RULES, f, X)
  atoms = walk.atoms(walk.outs[0], 1)
  assert atoms[1:7] == walk.atoms(walk.args[0], 1)
  assert len(set().union(*atoms)) == 9
  assert walk.outs[0].masked == (0.0, masked)


@pytest.mark.parametrize('config', [(0, 0, 1), (-1, 0, 0), (1, -1, 0)])
def test_other_padding_freezes(config):
  f = lambda x: jax.lax.pad(x, jnp.float32(0), [(0, 0, 0), config])
  walk = Walk(RULES, f, X)
  assert 'negative padding' in walk.reason(walk.args[0], 1)
  assert walk.is_free(walk.outs[0], 0)


def test_positions_are_fixed():
  walk = Walk(RULES, lambda: jax.lax.iota(np.int32, 5))
  assert walk.is_frozen(walk.outs[0], 0)


def test_stacks_unstacks_and_tiles():
  """Each is one primitive from jax 0.12 on and several before."""

  def f(x):
    y = jnp.stack([x, x], 1)
    first, _ = jnp.unstack(y, axis=1)
    return y, jnp.tile(first, (1, 2))

  walk = Walk(
    {**RULES, 'jit': lambda a, s, xs: a.call(s.params['jaxpr'], xs, '')[0]},
    f,
    X,
  )
  y, tiled = walk.outs
  channels = walk.atoms(walk.args[0], 1)
  assert walk.atoms(y, 2) == channels
  assert walk.is_frozen(y, 1)
  walk.store.freeze_unanchored('copies')
  assert walk.atoms(tiled, 1) == channels * 2

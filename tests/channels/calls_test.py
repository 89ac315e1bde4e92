"""Labels of calls, branches and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Walk

from jcompress.channels import elementwise, products, shapes
from jcompress.channels.calls import RULES

ALL = {**elementwise.RULES, **products.RULES, **shapes.RULES, **RULES}
X, SQUARE = jnp.zeros((4, 3)), jnp.zeros((3, 3))


@jax.custom_vjp
def rounded(x):
  return jnp.round(x)


rounded.defvjp(lambda x: (rounded(x), None), lambda _, g: (g,))


@pytest.mark.parametrize(
  'wrap', [jax.jit, jax.checkpoint, jax.remat, lambda f: f]
)
@pytest.mark.parametrize('f', [jnp.tanh, jax.nn.relu, rounded])
def test_calls_are_entered(wrap, f):
  walk = Walk(ALL, wrap(f), X)
  assert walk.atoms(walk.outs[0], 1) == walk.atoms(walk.args[0], 1)
  assert walk.outs[0].masked == (0.0, 0.0)
  assert not walk.analysis.unknown


def test_two_calls_of_one_jaxpr_are_kept_apart():
  layer = jax.jit(lambda x, w: jnp.tanh(x @ w))
  walk = Walk(ALL, lambda x, v, w: layer(layer(x, v), w), X, SQUARE, SQUARE)
  _, v, w = walk.args
  assert walk.atoms(v, 1) == walk.atoms(w, 0)
  assert not set().union(*walk.atoms(v, 1)) & set().union(*walk.atoms(w, 1))
  assert len(walk.frame.inner) == 2


def test_branches_are_kept_together():
  f = lambda p, x, y: jax.lax.cond(p, lambda a, b: a, lambda a, b: b + 1, x, y)
  walk = Walk(ALL, f, True, X, X)
  _, x, y = walk.args
  assert walk.atoms(x, 1) == walk.atoms(y, 1) == walk.atoms(walk.outs[0], 1)
  assert walk.outs[0].masked == (None, None)  # 0 or 1


def test_a_scan_carries_labels_round_and_keeps_its_length():
  f = lambda x, w: jax.lax.scan(lambda c, w: (c @ w, c + 1), x, w)
  walk = Walk(ALL, f, X, jnp.zeros((2, 3, 3)))
  x, w = walk.args
  carry, stacked = walk.outs
  channels = walk.atoms(x, 1)
  assert walk.atoms(w, 1) == walk.atoms(w, 2) == channels
  assert walk.atoms(carry, 1) == walk.atoms(stacked, 2) == channels
  assert 'stacked (layer or time) axis' in walk.reason(w, 0)
  assert walk.is_frozen(stacked, 0)
  assert stacked.masked == (None, 1.0, 1.0)


def test_a_loop_is_repeated_until_its_masked_values_are_stable():
  """The carry is 0, then 1, then 2: unknown after two turns."""
  f = lambda x: jax.lax.fori_loop(0, 3, lambda _, c: c + 1, x)
  walk = Walk(ALL, f, X)
  assert walk.outs[0].masked_axes() == [None, None]
  f = lambda x: jax.lax.fori_loop(0, 3, lambda _, c: c * 2, x)
  walk = Walk(ALL, f, X)
  assert walk.outs[0].masked_axes() == [0.0, 0.0]


def test_nan_stays_in_a_loop():
  f = lambda x: jax.lax.fori_loop(0, 3, lambda _, c: c * 2, x / x)
  walk = Walk(ALL, f, X)
  assert np.isnan(walk.outs[0].masked_axes()).all()


def test_a_while_loop_couples_what_it_carries():
  turn = lambda w: lambda c: (c[0] + 1, jnp.tanh(c[1] @ w))
  f = lambda x, w: jax.lax.while_loop(lambda c: c[0] < 3, turn(w), (0, x))
  walk = Walk(ALL, f, X, SQUARE)
  x, w = walk.args
  assert walk.atoms(w, 0) == walk.atoms(w, 1) == walk.atoms(x, 1)
  assert walk.is_free(x, 1)


def test_a_carry_that_starts_as_zeros_couples():
  def f(w, xs):
    step = lambda c, x: (jnp.tanh(c @ w + x), None)
    return jax.lax.scan(step, jnp.zeros((4, 3)), xs)[0]

  walk = Walk(ALL, f, SQUARE, jnp.zeros((5, 4, 3)))
  w, xs = walk.args
  assert walk.atoms(w, 0) == walk.atoms(w, 1) == walk.atoms(xs, 2)
  assert walk.is_free(w, 0)

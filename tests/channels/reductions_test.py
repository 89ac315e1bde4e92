"""Labels of reductions, windows, cumulative operations and sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Walk

from jcompress.channels import calls, elementwise
from jcompress.channels.reductions import RULES

X = jnp.zeros((4, 3))


def test_a_sum_of_masked_zeros_is_allowed():
  walk = Walk(
    RULES,
    lambda x: jax.lax.reduce_sum_p.bind(x, axes=(1,), out_sharding=None),
    X,
  )
  assert walk.is_free(walk.args[0], 1)
  assert walk.outs[0].masked == (0.0,)
  assert set(walk.outs[0].sums) == {('sum', 3)}


def test_a_sum_of_other_masked_values_freezes():
  rules = {**RULES, **elementwise.RULES}
  walk = Walk(rules, lambda x: jnp.sum(jnp.exp(x), 1), X)
  assert 'not provably 0' in walk.reason(walk.args[0], 1)
  assert walk.is_free(walk.args[0], 0)


def test_sums_can_be_forbidden():
  walk = Walk(RULES, lambda x: jnp.sum(x, 1), X, reductions='freeze')
  assert 'reduce_sum over a channel axis' in walk.reason(walk.args[0], 1)


def test_a_sum_over_two_axes_may_become_the_mean_over_one_or_both():
  walk = Walk(RULES, lambda x: jnp.sum(x, (0, 1)), X)
  assert set(walk.outs[0].sums) == {('sum', 12)}
  y = jnp.zeros((4, 3, 1))
  walk = Walk(RULES, lambda x: jnp.sum(x, (1, 2)), y)
  assert set(walk.outs[0].sums) == {('sum', 3)}


@pytest.mark.parametrize(
  'f', [jnp.max, jnp.min, jnp.prod, jnp.argmax, lambda x, d: jnp.any(x > 0, d)]
)
def test_other_reductions_freeze_what_they_reduce(f):
  rules = {**RULES, **elementwise.RULES}
  walk = Walk(rules, lambda x: f(x, 1), X)
  assert walk.is_frozen(walk.args[0], 1)
  assert walk.is_free(walk.args[0], 0)


def test_the_maximum_of_a_masked_channel_is_its_value():
  walk = Walk(RULES, lambda x: jnp.max(x, 0), X)
  assert walk.outs[0].masked == (0.0,)
  assert walk.is_free(walk.outs[0], 0)


@pytest.mark.parametrize('kind, start', [('max', -np.inf), ('add', 0.0)])
def test_a_window_freezes_the_axes_that_it_covers(kind, start):
  pool = lambda x: jax.lax.reduce_window(
    x, start, getattr(jax.lax, kind), (1, 2, 1), (1, 2, 1), 'VALID'
  )
  walk = Walk(RULES, pool, jnp.zeros((2, 4, 3)))
  assert walk.reason(walk.args[0], 1).endswith('window over a channel axis')
  assert walk.atoms(walk.outs[0], 2) == walk.atoms(walk.args[0], 2)
  assert walk.outs[0].masked == (0.0, None, 0.0)


@pytest.mark.parametrize('f', [jnp.cumsum, jnp.cumprod, jax.lax.cummax])
def test_cumulative_operations_freeze_their_axis(f):
  walk = Walk(RULES, lambda x: getattr(jax.lax, f.__name__)(x, 1), X)
  assert 'cumulative' in walk.reason(walk.args[0], 1)
  assert walk.is_free(walk.args[0], 0)


def test_sorting_freezes_its_axis():
  walk = Walk(RULES, lambda x: jax.lax.sort(x, dimension=1), X)
  assert 'sort along' in walk.reason(walk.args[0], 1)
  assert walk.is_free(walk.outs[0], 0)
  assert walk.outs[0].masked == (0.0, 0.0)


def test_sorting_by_a_key_keeps_the_operands_together():
  pair = lambda x, y: jax.lax.sort((x, y), dimension=1)
  walk = Walk(RULES, pair, X, X)
  assert walk.atoms(walk.args[0], 0) == walk.atoms(walk.args[1], 0)
  assert walk.outs[0].masked == (None, None)


def test_top_k_freezes_its_axis():
  walk = Walk(RULES, lambda x: jax.lax.top_k(x, 2), X)
  assert 'top-k' in walk.reason(walk.args[0], 1)
  assert [out.shape for out in walk.outs] == [(4, 2), (4, 2)]
  assert walk.is_free(walk.outs[1], 0)


def test_a_fourier_transform_freezes_the_axes_that_it_mixes():
  rules = {**RULES, **calls.RULES}
  walk = Walk(rules, lambda x: jax.lax.fft(x, 'RFFT', (3,)), X)
  (x,), (y,) = walk.args, walk.outs
  assert 'Fourier transform' in walk.reason(x, 1)
  assert walk.is_free(x, 0) and walk.atoms(y, 0) == walk.atoms(x, 0)
  assert y.shape == (4, 2) and y.masked == (0.0, None)

"""Elementwise operations, and numbers that come from a width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Walk

from jcompress.channels import elementwise, products, reductions

RULES = {**elementwise.RULES, **reductions.RULES, **products.RULES}
X = jnp.zeros((2, 3))
TENTHS = np.full((2, 3), 0.1, np.float32)


def test_operands_are_kept_together():
  walk = Walk(elementwise.RULES, jnp.add, X, X)
  a, b = walk.args
  for axis in (0, 1):
    assert walk.atoms(a, axis) == walk.atoms(b, axis)
    assert walk.atoms(walk.outs[0], axis) == walk.atoms(a, axis)
    assert walk.is_free(a, axis)


def test_an_axis_of_size_one_is_broadcast_and_stays():
  y = jnp.zeros((1, 3))
  walk = Walk(elementwise.RULES, jax.lax.add_p.bind, X, y)
  assert walk.is_free(walk.args[0], 0)
  assert walk.atoms(walk.args[0], 1) == walk.atoms(walk.args[1], 1)


def test_scalars_constrain_nothing():
  walk = Walk(elementwise.RULES, lambda x: jnp.sin(x) * 2 + 1, X)
  assert walk.is_free(walk.args[0], 0) and walk.is_free(walk.args[0], 1)
  assert walk.outs[0].masked == (1.0, 1.0)


@pytest.mark.parametrize(
  'f, expected',
  [
    (jax.lax.tanh, 0.0),
    (jax.lax.logistic, 0.5),
    (jnp.abs, 0.0),
    (lambda x: jax.lax.select_n(x > 0, TENTHS, x), float(TENTHS[0, 0])),
    (lambda x: 1 / (1 + jnp.exp(-x)), 0.5),
    (lambda x: x / (x * x + 1), 0.0),
  ],
)
def test_masked_values_are_computed(f, expected):
  walk = Walk(elementwise.RULES, f, X)
  assert walk.outs[0].masked_axes() == [expected, expected]


@pytest.mark.parametrize(
  'f',
  [
    lambda x: x.sum(-1) / 3.0,
    lambda x: x.sum(-1) * (1 / 3),
    lambda x: (x @ np.ones(3, np.float32)) / 3,
  ],
)
def test_a_sum_divided_by_its_width_is_a_mean(f):
  walk = Walk(RULES, f, X)
  assert 'mean over a channel axis' in walk.reason(walk.args[0], 1)
  assert walk.is_free(walk.args[0], 0)


def test_a_mean_is_allowed_where_its_divisor_stays():
  walk = Walk(RULES, lambda x: x.sum(-1) / 3, X, reductions='exact')
  assert walk.is_free(walk.args[0], 1)


def test_a_sum_divided_by_something_else_is_no_mean():
  walk = Walk(RULES, lambda x: x.sum(-1) / 5, X)
  assert walk.is_free(walk.args[0], 1)


def test_the_scale_of_attention_is_noted():
  scaled = lambda q, k: jnp.dot(q, k) / jnp.sqrt(3.0)
  walk = Walk(RULES, scaled, X, jnp.zeros((3, 4)))
  (text, labels), *_ = walk.analysis.notes
  assert '1.73205 may come from a width of 3' in str(text)
  assert labels.tolist() == walk.args[0].labels[1].tolist()


def test_a_bitcast_that_splits_numbers_is_not_understood():
  f = lambda x: jax.lax.bitcast_convert_type(x, jnp.uint8)
  walk = Walk(elementwise.RULES, f, X)
  assert walk.analysis.unknown == {'bitcast_convert_type': 1}
  assert walk.is_frozen(walk.args[0], 1)
  f = lambda x: jax.lax.bitcast_convert_type(x, jnp.uint32)
  walk = Walk(elementwise.RULES, f, X)
  assert walk.is_free(walk.args[0], 1)

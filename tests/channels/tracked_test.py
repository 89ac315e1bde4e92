"""What a masked channel holds after each kind of operation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.channels.tracked import (
  Tracked,
  either,
  evaluate,
  is_finite,
  is_zero,
  number,
  through_sum,
)

NAN, INF = float('nan'), float('inf')


def equation(f, *args):
  (eqn,) = jax.make_jaxpr(f)(*args).jaxpr.eqns
  return eqn


def test_numbers_of_all_dtypes_compare():
  zeros = [0, 0.0, False, np.float32(0), jnp.zeros((), jnp.bfloat16)]
  assert all(is_zero(number(z)) for z in zeros)
  assert number(jnp.asarray(0.25, jnp.float16)) == 0.25
  assert number(jax.random.key(0)) is None
  assert not is_zero(None) and not is_zero(1)


def test_unknown_counts_as_finite():
  assert is_finite(None) and is_finite(1.0) and is_finite(True)
  assert not is_finite(INF) and not is_finite(NAN)


@pytest.mark.parametrize(
  'a, b, expected',
  [
    (1.0, 1.0, 1.0),
    (1.0, 2.0, None),
    (None, 1.0, None),
    (0, NAN, None),
    (NAN, NAN, NAN),
  ],
)
def test_what_may_be_either_of_two_is_known_if_they_agree(a, b, expected):
  for value in (either(a, b), either(b, a)):
    assert value == expected or (value != value and expected != expected)


def test_a_sum_of_masked_products_is_zero_unless_one_factor_is_infinite():
  assert through_sum(0.0, None) == 0
  assert through_sum(3.0) is None
  assert np.isnan(through_sum(0.0, INF))


@pytest.mark.parametrize(
  'f, value, expected',
  [
    (jnp.tanh, 0.0, 0.0),
    (jax.lax.logistic, 0.0, 0.5),
    (jnp.log, 0.0, -INF),
    (jnp.exp, -INF, 0.0),
    (lambda x: x + 1, 0.0, 1.0),
  ],
)
def test_primitives_are_evaluated_on_known_numbers(f, value, expected):
  eqn = equation(f, jnp.zeros(3))
  values = [value, 1.0][: len(eqn.invars)]
  assert evaluate(eqn, values) == expected


def test_casts_are_evaluated():
  eqn = equation(lambda x: x.astype(jnp.bfloat16), jnp.zeros(3))
  assert evaluate(eqn, [0.1]) == float(jnp.bfloat16(0.1))


def test_zero_absorbs_unknown_factors_and_divisors():
  x = jnp.zeros(3)
  assert evaluate(equation(jnp.multiply, x, x), [0.0, None]) == 0
  assert evaluate(equation(jax.lax.div, x, x), [0.0, None]) == 0
  assert evaluate(equation(jax.lax.div, x, x), [None, 0.0]) is None


def test_infinities_survive_arithmetic_with_unknowns():
  x = jnp.zeros(3)
  for f in (jax.lax.add, jax.lax.sub, jax.lax.mul):
    assert np.isnan(evaluate(equation(f, x, x), [None, INF]))
  assert np.isnan(evaluate(equation(jax.lax.div, x, x), [INF, None]))
  assert evaluate(equation(jax.lax.div, x, x), [None, INF]) is None


def test_a_comparison_with_nan_is_unknown():
  x = jnp.zeros(3)
  assert evaluate(equation(jax.lax.gt, x, x), [NAN, 0.0]) is None
  assert np.isnan(evaluate(equation(jax.lax.max, x, x), [NAN, 0.0]))


def test_selection_is_known_with_the_predicate_or_if_the_cases_agree():
  x = jnp.zeros(3)
  eqn = equation(jax.lax.select_n, x > 0, x, x)
  assert evaluate(eqn, [True, 1.0, 2.0]) == 2
  assert evaluate(eqn, [None, 1.0, 1.0]) == 1
  assert evaluate(eqn, [None, 1.0, None]) is None
  assert evaluate(eqn, [None, 1.0, INF]) is None


def test_a_constant_array_has_one_masked_value_on_every_axis():
  x = Tracked((np.arange(2), np.arange(3)), (None, None), 5.0)
  assert x.shape == (2, 3)
  assert x.masked_at(0) == x.masked_at(1) == 5

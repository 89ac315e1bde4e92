import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress import encoded
from jcompress.code.ties import Records


def numbers(*leaves):
  records = Records('auto')
  return [records.put(leaf, 'path') for leaf in leaves]


def test_leaves_of_the_same_arrays_are_tied():
  zeros, ramp = jnp.zeros(3), jnp.arange(3.0)
  a, b = encoded.Dense(zeros), encoded.Dense(ramp)
  assert numbers(a, b, encoded.Dense(zeros), b) == [0, 1, 0, 1]


def test_equal_content_is_tied_unless_it_is_constant():
  ramp = lambda: encoded.Dense(jnp.arange(3.0))
  ones = lambda: encoded.Dense(jnp.ones(3))
  assert numbers(ramp(), ramp(), ones(), ones()) == [0, 0, 1, 2]


def test_other_kinds_and_static_fields_are_not_tied():
  left, right = jnp.arange(2.0)[:, None], jnp.ones((1, 2))
  flat = encoded.LowRank(left, right, (4,))
  square = encoded.LowRank(left, right, (2, 2))
  assert numbers(flat, square, encoded.Dense(left)) == [0, 1, 2]


def test_an_array_in_the_memory_of_an_earlier_one_is_not_taken_for_it():
  records = Records('auto')
  put = lambda i: records.put(encoded.Dense(np.full(100, i, np.int32)), 'path')
  assert [put(i) for i in range(50)] == list(range(50))


def test_two_zero_biases_are_two_parameters_in_the_report():
  tree = {'a': encoded.Dense(jnp.zeros(3)), 'b': encoded.Dense(jnp.zeros(3))}
  assert jc.report(tree).total.parameters == 6

"""Tests of which leaves share a record."""

import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress import encoded
from jcompress.code.ties import Records


def records_of(*leaves):
  """Numbers, numbers of the records, and bytes written."""
  parts = []
  records = Records('auto', parts.append)
  numbers = [records.put(leaf, 'path') for leaf in leaves]
  assert [len(p) for p in parts] == [
    e.size for i, e in enumerate(records.entries) if records.same[i] == i
  ]
  return numbers, records.same


def test_leaves_of_the_same_arrays_are_one_leaf():
  zeros, ramp = jnp.zeros(3), jnp.arange(3.0)
  a, b = encoded.Dense(zeros), encoded.Dense(ramp)
  assert records_of(a, b, encoded.Dense(zeros), b) == ([0, 1, 0, 1], [0, 1])


def test_leaves_of_equal_content_share_a_record():
  ramp = lambda: encoded.Dense(jnp.arange(3.0))
  ones = lambda: encoded.Dense(jnp.ones(3))
  leaves = ramp(), ramp(), ones(), ones()
  assert records_of(*leaves) == ([0, 1, 2, 3], [0, 0, 2, 2])


def test_they_come_back_as_two_arrays_that_can_be_donated():
  ramp = lambda: encoded.Dense(jnp.arange(3.0))
  tied = ramp()
  tree = {'a': tied, 'b': ramp(), 'c': tied}
  read = jc.unpack(jc.pack(tree)).tree
  assert read['a'] is read['c'] and read['a'].values is not read['b'].values
  assert jc.report(tree).total.parameters == 6
  assert jc.pack(read) == jc.pack(tree)


def test_other_kinds_and_static_fields_are_not_tied():
  left, right = jnp.arange(2.0)[:, None], jnp.ones((1, 2))
  flat = encoded.LowRank(left, right, (4,))
  square = encoded.LowRank(left, right, (2, 2))
  assert records_of(flat, square, encoded.Dense(left))[1] == [0, 1, 2]


def test_an_array_in_the_memory_of_an_earlier_one_is_not_taken_for_it():
  records = Records('auto', len)
  put = lambda i: records.put(encoded.Dense(np.full(100, i, np.int32)), 'path')
  assert [put(i) for i in range(50)] == list(range(50))
  assert records.same == list(range(50))


def test_equal_bytes_of_other_shapes_are_not_tied():
  codes = jnp.zeros((2, 3), jnp.int8)
  leaf = lambda codes: encoded.Quantized(codes, jnp.float32(2))
  leaves = leaf(codes), leaf(codes.T), leaf(jnp.array(codes.T))
  assert records_of(*leaves)[1] == [0, 1, 1]
  read = jc.unpack(jc.pack(list(leaves))).tree
  assert [x.codes.shape for x in read] == [(2, 3), (3, 2), (3, 2)]

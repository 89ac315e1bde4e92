"""Tests of codes in the order of their weights."""

import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress.code.orders import order, zero_of


def test_ranks_and_the_center_nearest_zero():
  ranks, zero = order(np.array([0.3, -0.2, 0.1, -0.2], np.float32))
  assert ranks.tolist() == [3, 0, 2, 1] and zero == 2
  ranks, zero = order(np.zeros(0, np.float32))
  assert ranks.size == 0 and zero == 0


def test_the_code_of_zero_on_a_grid():
  codes = jnp.zeros((2, 2), jnp.int8)
  scale = jnp.ones((1, 2))
  assert zero_of(encoded.Quantized(codes, scale)) == 0
  zeros = jnp.asarray([[3, 5]], jnp.int8)
  assert zero_of(encoded.Quantized(codes, scale, zeros)) == 4
  blocks = encoded.Blocks(codes, scale, jnp.array([-1.0, 0.1, 2.0]))
  assert zero_of(blocks) == 1


def test_a_signaling_nan_of_a_damaged_file_is_last_without_a_warning():
  words = np.array([0x7F800001, 0, 0xBF800000], np.uint32)
  assert order(words.view(np.float32))[0].tolist() == [2, 1, 0]

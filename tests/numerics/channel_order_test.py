import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import ops


def test_channels_are_dealt_to_all_groups():
  assert ops.channel_shuffle(jnp.arange(6), 3).tolist() == [0, 2, 4, 1, 3, 5]
  x = jnp.arange(24).reshape(2, 12)
  back = ops.channel_shuffle(ops.channel_shuffle(x, 3), 4)
  np.testing.assert_array_equal(back, x)
  np.testing.assert_array_equal(ops.channel_shuffle(x, 1), x)


def test_copies_are_pooled():
  x = jnp.array([[1.0, 2.0, 5.0, 0.0], [0.0, -3.0, -1.0, -4.0]])
  assert ops.group_pool(x, 2).tolist() == [[5, 2], [0, -3]]
  assert ops.group_pool(x, 2, 'mean').tolist() == [[3, 1], [-0.5, -3.5]]
  assert ops.group_pool(x, 4).tolist() == [[5], [0]]


def test_what_does_not_divide_is_refused():
  with pytest.raises(ValueError, match=r'groups is 4, .* \[2, 6\]'):
    ops.channel_shuffle(jnp.ones((2, 6)), 4)
  with pytest.raises(ValueError, match='copies is 0'):
    ops.group_pool(jnp.ones((2, 6)), 0)
  with pytest.raises(ValueError, match="'max' or 'mean'"):
    ops.group_pool(jnp.ones(6), 2, 'sum')

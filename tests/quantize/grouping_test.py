import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.quantize.grouping import groups_of, require_groups

X = jnp.arange(1.0, 61.0).reshape(3, 5, 4)


@pytest.mark.parametrize(
  ('axis', 'tile', 'shape'),
  [
    (None, None, (1, 1, 1)),
    (-1, None, (1, 1, 4)),
    ((0, 2), None, (3, 1, 4)),
    ((2, 0), 2, (3, 3, 4)),
    (0, 3, (3, 1, 2)),
    (-1, 2, (1, 3, 4)),
    (1, 9, (1, 5, 1)),
  ],
)
def test_reductions_and_rows_agree_with_indices_of_groups(axis, tile, shape):
  groups = groups_of(X.shape, axis, tile)
  assert groups.scale_shape == shape
  number = jnp.arange(np.prod(shape)).reshape(shape)
  owner = np.broadcast_to(groups.spread(number), X.shape)
  rows = groups.rows(X)
  assert rows.shape[0] == number.size
  for g in range(number.size):
    mine = np.asarray(X)[owner == g]
    np.testing.assert_array_equal(np.sort(rows[g][rows[g] > 0]), mine)
    assert groups.reduce(X, jnp.max).ravel()[g] == mine.max()
    assert groups.reduce(X, jnp.sum).ravel()[g] == mine.sum()


def test_groups_of_an_empty_array():
  x = jnp.zeros((0, 4))
  for axis, tile in ((None, None), (-1, None), (-1, 2), (0, None)):
    groups = groups_of(x.shape, axis, tile)
    assert groups.reduce(x, jnp.max).shape == groups.scale_shape
    assert groups.spread(jnp.ones(groups.scale_shape)).shape[1] in (1, 4)


@pytest.mark.parametrize(
  ('axis', 'tile', 'message'),
  [
    ('out', None, "axis is 'out'"),
    ((0, 1.5), None, 'axis is'),
    ((), None, 'axis is'),
    (True, None, 'axis is True'),
    (-1, 2.5, 'tile is 2.5'),
    (-1, True, 'tile is True'),
    (-1, 1, 'tile is 1'),
    (None, 4, 'axis None'),
  ],
)
def test_what_are_no_groups_is_refused(axis, tile, message):
  with pytest.raises(ValueError, match=message):
    require_groups(axis, tile)

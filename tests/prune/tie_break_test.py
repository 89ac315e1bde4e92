import jax.numpy as jnp
import numpy as np

from jcompress.prune.tie_break import index_of_last

LEAVES = [
  jnp.array([[1, 0, 1], [0, 0, 0]]),
  jnp.array([0, 0]),
  jnp.array([[[0, 1], [1, 1]]]),
]
FLAT = np.concatenate([np.ravel(x) for x in LEAVES])


def test_so_many_ties_come_before_it():
  for wanted in range(1, 6):
    end = index_of_last(
      lambda x, factor: x * factor == 2, LEAVES, [2, 2, 2], jnp.int32(wanted)
    )
    assert FLAT[: int(end)].sum() == wanted and FLAT[int(end) - 1] == 1

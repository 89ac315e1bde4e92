import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.encoded import Codebook
from jcompress.planning.turns import Leaf, Turns, run

X = jnp.ones((2, 3))
KERNELS = [jnp.full((3, 3), 0.5), jnp.full((3, 3), 2.0)]


def decodes(function, monkeypatch, is_large=True):
  """In which order the kernels are decoded, and the results."""
  order = []
  codes = jnp.zeros((3, 3), jnp.uint8)
  leaves = [Codebook(k[0, :1], codes) for k in KERNELS]
  values = [float(leaf.centers[0]) for leaf in leaves]

  def decode(self):
    order.append(values.index(float(self.centers[0])))
    return self.centers[self.codes]

  monkeypatch.setattr(Codebook, 'decode', decode)
  closed = jax.make_jaxpr(function)(*KERNELS, X)
  turns = Turns()
  args = [*(Leaf(leaf, is_large) for leaf in leaves), X]
  outputs = turns.values(run(closed, args, turns))
  want = function(*KERNELS, X)
  np.testing.assert_array_equal(outputs[0], want)
  return order


@pytest.mark.parametrize(
  'function, large, small',
  [
    (lambda a, b, x: x @ b @ a, [1, 0], [1, 0]),
    (lambda a, b, x: x @ a @ a @ b, [0, 1], [0, 1]),
    (lambda a, b, x: x @ a @ b @ a, [0, 1, 0], [0, 1]),
    (lambda a, b, x: x @ (2 * a.T) @ (b + a), [0, 1], [0, 1]),
    (lambda a, b, x: x @ (2 * a.T) @ b @ (a + 1), [0, 1, 0], [0, 1]),
    (lambda a, b, x: jnp.tanh(x), [], []),
    (lambda a, b, x: a @ b, [0, 1], [0, 1]),
  ],
)
def test_leaves_are_decoded_where_they_are_used(
  function, large, small, monkeypatch
):
  assert decodes(function, monkeypatch) == large
  assert decodes(function, monkeypatch, False) == small

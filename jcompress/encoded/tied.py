"""A kernel whose filters are transforms of others, each number kept once."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.encoded.leaf import Encoded, leaf, static
from jcompress.numerics import orbits


@leaf
class Tied(Encoded):
  """A base kernel, expanded: see `tie`.

  Attributes:
    part: the base, an encoded leaf that holds no others.
    kind: `'negation'`, `'repeat'`, `'translation'`, `'p4'` or `'p4m'`.
    shape: of the kernel.
    inputs: whether the inputs are the outputs of a layer of the same group.

  >>> from jcompress.encoded.leaves import Dense
  >>> Tied(Dense(jnp.array([1.0, 2.0])), 'negation', (4,)).decode().tolist()
  [1.0, 2.0, -1.0, -2.0]
  """

  part: Encoded
  kind: str = static()
  shape: tuple[int, ...] = static()
  inputs: bool = static(default=False)

  def decode(self):
    base: Any = self.part.decode()
    grow = lambda x: orbits.expand(x, self.kind, self.shape, self.inputs)
    if isinstance(base, np.ndarray):  # of more bits than JAX has
      with jax.enable_x64(True):
        return np.asarray(grow(jnp.asarray(base)))
    return grow(tree.replicated(base))

  def bits(self):
    return self.part.bits()

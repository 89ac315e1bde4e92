"""Layers of one form, held together: what a loop over them reads."""

from typing import Any

import jax
import jax.numpy as jnp

from jcompress.encoded.leaf import Encoded, leaf, static
from jcompress.encoded.stacked import Stacked


@leaf
class Layered(Encoded):
  """A `Stacked` leaf of layers of one form, their arrays stacked.

  Attributes:
    part: an encoded leaf whose arrays have a first axis more than those of one
      layer: that of the layers, in the order of `Stacked.parts`.
    axes: of the array that count layers, ascending, `>= 0`.
    sizes: of these axes.
  """

  part: Encoded
  axes: tuple[int, ...] = static()
  sizes: tuple[int, ...] = static()

  def stacked(self) -> Stacked:
    """The layers one by one."""
    count = len(jax.tree.leaves(self.part)[0])
    one = lambda i: jax.tree.map(lambda x: x[i], self.part)
    made: Any = Stacked
    return made(tuple(map(one, range(count))), self.axes, self.sizes)

  def decode(self):
    return self.stacked().decode()

  def bits(self):
    return self.stacked().bits()


def layered(stack: Stacked) -> Layered | None:
  """The same layers held together, if they are of one form.

  None if they are not, or have arrays of more bits than JAX holds.

  >>> from jcompress.encoded.leaves import Dense
  >>> layered(Stacked((Dense(jnp.ones(2)),) * 3, (0,), (3,))).part.values.shape
  (3, 2)
  """
  form = lambda part: (
    jax.tree.structure(part),
    [(jnp.shape(x), x.dtype) for x in jax.tree.leaves(part)],
  )
  first, *others = map(form, stack.parts)
  is_narrow = all(
    jnp.issubdtype(dtype, jax.dtypes.extended)
    or jax.dtypes.canonicalize_dtype(dtype) == dtype
    for _, dtype in first[1]
  )
  if not first[1] or not is_narrow or any(x != first for x in others):
    return None
  part = jax.tree.map(lambda *ones: jnp.stack(ones), *stack.parts)
  made: Any = Layered
  return made(part, stack.axes, stack.sizes)

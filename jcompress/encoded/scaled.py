"""A leaf times factors that were taken out of it before it was encoded."""

from typing import Any

import jax.numpy as jnp

from jcompress.encoded.leaf import Encoded, leaf, static, width


@leaf
class Scaled(Encoded):
  """Another leaf, stretched along an axis: `part.decode() * factor`.

  The product is in float32, as the part should decode to.

  Attributes:
    part: an encoded leaf of one idea: not `Stacked`, nor `Scaled`.
    factor: float, of as many axes as the weight, each 1 or that of the weight:
      `[in, 1]` for a factor of each input.
    dtype: of the decoded array.

  >>> from jcompress.encoded.leaves import Dense
  >>> Scaled(Dense(jnp.ones((2, 2))), jnp.array([[0.5], [2.0]])).decode()
  Array([[0.5, 0.5],
         [2. , 2. ]], dtype=float32)
  """

  part: Encoded
  factor: Any
  dtype: Any = static(default=jnp.dtype(jnp.float32))

  def decode(self):
    values = jnp.asarray(self.part.decode()).astype(jnp.float32)
    factor = jnp.asarray(self.factor).astype(jnp.float32)
    axes = zip(factor.shape, values.shape, strict=False)
    fits = factor.ndim == values.ndim
    if not fits or any(f not in (1, n) for f, n in axes):
      raise ValueError(
        f'Factors {list(factor.shape)} do not fit a weight '
        f'{list(values.shape)}: each axis must be 1 or that of the weight.'
      )
    return (values * factor).astype(self.dtype)

  def bits(self):
    return self.part.bits() + width(self.factor) * self.factor.size

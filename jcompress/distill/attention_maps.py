"""Where a layer of the teacher looks, followed by one of the student."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.distill.logits import float32
from jcompress.distill.pooling import pooled


def attention(
  student: Float[Array, 'batch *space channels'],
  teacher: Float[Array, 'batch *space_too channels_too'],
  p: int = 2,
) -> Float[Array, '']:
  """The mean of squares of differences of two attention maps, in float32.

  A map is `sum |A|^p` over channels, divided by its norm over positions, so
  that the numbers of channels may differ. The paper adds half of the norm of
  the difference; its code this mean over examples and positions, with a weight
  of 1,000.

  Args:
    student: response of a layer of the student.
    teacher: response of a layer of the teacher; no gradient flows into it. The
      one with more positions is averaged over windows.
    p: positive.

  Raises:
    ValueError: `p` not positive; positions of one are no multiple of those of
      the other.

  >>> a = jnp.array([[[3.0, 4], [0, 0]]])
  >>> float(attention(a, 2 * a)), float(attention(a, a[:, ::-1]))
  (0.0, 1.0)

  References:
    Zagoruyko & Komodakis, Paying More Attention to Attention, 2017, arXiv
      1612.03928.
  """
  s, t = pooled(float32(student), float32(teacher), jnp.mean)
  apart = attention_map(s, p) - jax.lax.stop_gradient(attention_map(t, p))
  return jnp.square(apart).mean()


def attention_map(
  x: Float[Array, 'batch *space channels'], p: int = 2
) -> Float[Array, 'batch positions']:
  """`sum |x|^p` over channels, of norm 1 over positions; 0 where all are.

  Args:
    x: response of a layer.
    p: positive.

  Raises:
    ValueError: `p` not positive.
  """
  if not p > 0:
    raise ValueError(f'p is {p}; it must be positive.')
  x = float32(x).reshape(len(x), -1, x.shape[-1])
  # The map does not depend on the scale, and powers of it would overflow.
  scale = jnp.abs(x).max((1, 2), keepdims=True, initial=0)
  x = x / jax.lax.stop_gradient(jnp.where(scale > 0, scale, 1))
  q = (jnp.square(x) if p == 2 else jnp.abs(x) ** p).sum(-1)
  return q * jax.lax.rsqrt(jnp.square(q).sum(-1, keepdims=True) + 1e-12)

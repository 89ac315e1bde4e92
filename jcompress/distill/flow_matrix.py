"""How a network gets from one layer to another, as a matrix."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.distill.logits import float32
from jcompress.distill.pooling import pooled

Pair = tuple[Float[Array, 'batch ...'], Float[Array, 'batch ...']]


def flow(student: Pair, teacher: Pair) -> Float[Array, '']:
  """`|G_s - G_t|^2` of flow matrices, a mean over examples, in float32.

  The paper trains by it first, and then by the labels.

  Args:
    student: responses of a first and of a last layer of a part of the student.
    teacher: of layers with as many channels in the teacher; no gradient flows
      into them.

  Raises:
    ValueError: other channels in the student than in the teacher; see
      `flow_matrix`.

  References:
    Yim et al., A Gift from Knowledge Distillation, CVPR 2017.
  """
  s, t = flow_matrix(*student), flow_matrix(*teacher)
  if s.shape != t.shape:
    raise ValueError(
      f'Flow matrices of the student are {s.shape[1:]}, of the teacher '
      f'{t.shape[1:]}: take layers with as many channels, or bring those of '
      'the student to as many by a linear map that is trained beside it.'
    )
  apart = s - jax.lax.stop_gradient(t)
  return jnp.square(apart).sum((1, 2)).mean()


def flow_matrix(
  first: Float[Array, 'batch *space channels'],
  last: Float[Array, 'batch *space_too channels_too'],
) -> Float[Array, 'batch channels channels_too']:
  """`F1' F2 / positions` of the responses of two layers.

  The one with more positions is reduced to the maxima of windows.

  Args:
    first: of the first layer.
    last: of the last layer.

  Raises:
    ValueError: positions of one are no multiple of those of the other.

  >>> a, b = jnp.array([[[1.0], [3.0]]]), jnp.array([[[1.0, 0], [0, 1]]])
  >>> flow_matrix(a, b).tolist()
  [[[0.5, 1.5]]]
  """
  a, b = pooled(float32(first), float32(last), jnp.max)
  a, b = (x.reshape(len(x), -1, x.shape[-1]) for x in (a, b))
  return jnp.einsum('npi,npj->nij', a, b) / a.shape[1]

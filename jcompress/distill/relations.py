"""How examples lie to each other, in the student as in the teacher."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jcompress.distill.logits import float32


def relational(
  student: Float[Array, 'batch ...'],
  teacher: Float[Array, '...'],
  distance: float = 25.0,
  angle: float = 50.0,
) -> Float[Array, '']:
  """Distances of pairs and angles of triples, each by a Huber loss of bound 1.

  Distances are divided by their mean over pairs that are apart, and angles are
  the cosines at each example between each two others: sizes and scales of the
  two layers may differ. Means over all pairs and all triples, in float32, as
  in the code that reproduces it.

  Args:
    student: response of a layer of the student, or its outputs.
    teacher: of a layer of the teacher; no gradient flows into it.
    distance: weight of the distances.
    angle: weight of the angles; their memory is cubic in the batch.

  Raises:
    ValueError: batches of different sizes.

  >>> s = jnp.array([[0.0, 0], [3, 4], [0, 8]])
  >>> abs(float(relational(s, 2 * s + 1))) < 1e-6
  True

  References:
    Park et al., Relational Knowledge Distillation, 2019, arXiv 1904.05068.
    HobbitLong/RepDistiller, distiller_zoo/RKD.py: the means and the weights.
  """
  if len(student) != len(teacher):
    raise ValueError(
      f'The student has {len(student)} examples, the teacher {len(teacher)}.'
    )
  s, t = (float32(x).reshape(len(x), -1) for x in (student, teacher))
  t = jax.lax.stop_gradient(t)
  pairs = optax.losses.huber_loss(_distances(s), _distances(t)).mean()
  triples = optax.losses.huber_loss(_angles(s), _angles(t)).mean()
  return distance * pairs + angle * triples


def _apart(x):
  """`[i, j]`: from j to i, and the norm of that, of gradient 0 where it is."""
  apart = x[None] - x[:, None]
  square = jnp.square(apart).sum(-1)
  is_apart = square > 0
  return apart, jnp.where(is_apart, jnp.sqrt(jnp.where(is_apart, square, 1)), 0)


def _distances(x):
  _, norm = _apart(x)
  count = jnp.maximum((norm > 0).sum(dtype=norm.dtype), 1)
  mean = norm.sum() / count
  return norm / jnp.where(mean > 0, mean, 1)


def _angles(x):
  apart, norm = _apart(x)
  unit = apart / jnp.where(norm > 0, norm, 1)[..., None]
  return jnp.einsum('ijd,ikd->ijk', unit, unit)

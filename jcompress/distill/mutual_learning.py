"""Students that teach each other."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jcompress.distill.logits import divergence, log_softmax


def mutual(
  logits: Float[Array, 'students *batch classes'], labels: Int[Array, '*batch']
) -> Float[Array, ' students']:
  """`CE_k + 1 / (K - 1) sum_l KL(p_l | p_k)` of each of `K` students.

  Their sum trains all of them at once: to student `k` the others are constant.

  Args:
    logits: of each student, two or more; `jnp.stack` them.
    labels: the classes.

  Raises:
    ValueError: fewer than two students.

  >>> z = jnp.array([[[1.0, 0]], [[1.0, 0]]])
  >>> mutual(z, jnp.array([0])).round(6).tolist()
  [0.3132619857788086, 0.3132619857788086]

  References:
    Zhang et al., Deep Mutual Learning, 2018, arXiv 1706.00384.
  """
  count = len(logits)
  if count < 2:
    raise ValueError(f'There are {count} students; two or more are needed.')
  log_p = log_softmax(logits)
  labels = jnp.broadcast_to(labels, log_p.shape[:-1])
  hard = optax.softmax_cross_entropy_with_integer_labels(log_p, labels)
  each = jax.lax.stop_gradient(log_p)[:, None]
  # [teacher, student, ...]; that of a student to itself is zero.
  soft = divergence(each, log_p[None]).sum(0) / (count - 1)
  return (hard + soft).reshape(count, -1).mean(-1)

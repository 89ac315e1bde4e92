"""Soft targets in two parts: the class of the label, and the others."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jcompress.distill.logits import (
  divergence,
  log_softmax,
  require_alike,
  require_temperature,
)


def decoupled(
  z: Float[Array, '*batch classes'],
  v: Float[Array, '...'],
  labels: Int[Array, '*batch'],
  alpha: float = 1.0,
  beta: float = 8.0,
  temperature: float = 4.0,
) -> Float[Array, '']:
  """`T^2 (alpha TCKD + beta NCKD)`, a mean over examples, in float32.

  TCKD is the divergence of `(p, 1 - p)` of the class of the label, NCKD that of
  the other classes among themselves. `soft_targets` is `TCKD + (1 - p) NCKD`:
  there a teacher that is sure of the label says little about the others.

  Args:
    z: logits of the student, of three classes or more.
    v: logits of the teacher; no gradient flows into them.
    labels: the classes.
    alpha: weight of the class of the label.
    beta: weight of the others.
    temperature: `T`, positive.

  Raises:
    ValueError: logits of different shapes or of fewer than three classes;
      `temperature` not positive.

  >>> z, v = jnp.array([[1, 2, 0.5]]), jnp.array([[2, 1, 0.0]])
  >>> round(float(decoupled(z, v, jnp.array([0]), temperature=1.0)), 6)
  0.605666

  References:
    Zhao et al., Decoupled Knowledge Distillation, 2022, arXiv 2203.08679.
  """
  require_alike(z, v)
  require_temperature(temperature)
  if jnp.shape(z)[-1] < 3:
    raise ValueError(
      f'There are {jnp.shape(z)[-1]} classes; beside that of the label two '
      'others or more are needed. Use soft_targets().'
    )
  hot = jax.nn.one_hot(labels, jnp.shape(z)[-1], dtype=bool)
  p, p_others = _parts(v, hot, temperature)
  q, q_others = _parts(z, hot, temperature)
  stop = jax.lax.stop_gradient
  target = divergence(stop(p), q)
  others = divergence(stop(p_others), q_others)
  return temperature**2 * (alpha * target + beta * others).mean()


def _parts(z, hot, temperature):
  """Log probabilities of the label or not, and of the others if not."""
  log_p = log_softmax(z, temperature)
  # Of the label by a sum: where others are -inf a product would give NaN.
  label = jnp.where(hot, log_p, 0).sum(-1)
  rest = jax.nn.logsumexp(log_p, axis=-1, where=~hot)
  others = jnp.where(hot, -jnp.inf, log_p - rest[..., None])
  return jnp.stack([label, rest], -1), others

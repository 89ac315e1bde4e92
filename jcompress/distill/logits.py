"""A teacher's outputs as targets: softened probabilities, or logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def soft_targets(
  z: Float[Array, '*batch classes'],
  v: Float[Array, '...'],
  temperature: float = 4.0,
  weights: Float[Array, '*batch'] | None = None,
) -> Float[Array, '']:
  """`T^2 KL(softmax(v / T) | softmax(z / T))`, of a student and its teacher.

  A sum over classes and a mean over examples, in float32. The factor `T^2`
  keeps the gradient, `T (softmax(z / T) - softmax(v / T))`, of one size. It is
  added to the loss on labels: `0.1 * hard + 0.9 * soft_targets(z, v)`.

  Args:
    z: logits of the student.
    v: logits of the teacher, `[*batch, classes]`; no gradient flows into them.
      A class that it excludes by `-inf` counts nothing.
    temperature: `T`, positive; 2 to 5 for images.
    weights: of the examples, such as 0 for tokens that fill a row up. All 1 if
      not given; where they are all 0 the loss is.

  Raises:
    ValueError: logits of different shapes; `temperature` not positive.

  >>> z, v = jnp.array([[1, 2, 0.5]]), jnp.array([[2, 1, 0.0]])
  >>> round(float(soft_targets(z, v, 1.0)), 6), float(soft_targets(z, z))
  (0.43226, 0.0)

  References:
    Hinton et al., Distilling the Knowledge in a Neural Network, 2015, arXiv
      1503.02531, section 2.
  """
  require_alike(z, v)
  require_temperature(temperature)
  q, p = log_softmax(z, temperature), log_softmax(v, temperature)
  losses = temperature**2 * divergence(jax.lax.stop_gradient(p), q)
  if weights is None:
    return losses.mean()
  count = jnp.maximum(jnp.sum(weights, dtype=jnp.float32), 1)
  return jnp.sum(weights * losses) / count


def logit_l2(
  z: Float[Array, '*batch classes'], v: Float[Array, '...']
) -> Float[Array, '']:
  """`|z - v|^2 / 2`, a sum over classes and a mean over examples, in float32.

  Args:
    z: logits of the student.
    v: logits of the teacher, `[*batch, classes]`, or means of those of several;
      no gradient flows into them.

  Raises:
    ValueError: logits of different shapes.

  >>> float(logit_l2(jnp.array([[1.0, 2]]), jnp.array([[2.0, 4]])))
  2.5

  References:
    Ba & Caruana, Do Deep Nets Really Need to be Deep?, 2014, arXiv 1312.6184.
  """
  require_alike(z, v)
  apart = float32(z) - jax.lax.stop_gradient(float32(v))
  return jnp.square(apart).sum(-1).mean() / 2


def float32(x: Array) -> Float[Array, '...']:
  return jnp.asarray(x).astype(jnp.float32)


def log_softmax(
  z: Float[Array, '... classes'], temperature: float = 1.0
) -> Float[Array, '... classes']:
  """In float32, of `z / temperature`."""
  return jax.nn.log_softmax(float32(z) / temperature)


def divergence(
  log_p: Float[Array, '... classes'], log_q: Float[Array, '... classes']
) -> Float[Array, '...']:
  """`KL(p | q)` of log probabilities, as a sum of `q - p + p log(p / q)`.

  No term is negative, so that nothing cancels where both are nearly the same,
  as they are at a high temperature.
  """
  p, q = jnp.exp(log_p), jnp.exp(log_q)
  log_p, log_q = (jnp.where(p > 0, x, 0) for x in (log_p, log_q))
  d = log_p - log_q
  is_near = (p > 0) & (jnp.abs(d) < 0.5)
  near = jnp.where(is_near, d, 0)
  return jnp.where(is_near, p * (jnp.expm1(-near) + near), q - p + p * d).sum(
    -1
  )


def require_alike(z: Array, v: Array) -> None:
  """Refuses outputs of different shapes."""
  if jnp.shape(z) != jnp.shape(v):
    raise ValueError(
      f'The student has outputs of shape {jnp.shape(z)}, the teacher of '
      f'{jnp.shape(v)}; both must be logits of the same classes and examples.'
    )


def require_temperature(temperature: float) -> None:
  if not temperature > 0:
    raise ValueError(f'temperature is {temperature}; it must be positive.')

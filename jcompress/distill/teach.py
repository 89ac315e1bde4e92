"""A loss function in which a teacher takes part, for `train_step`."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jcompress.distill.attention_maps import attention
from jcompress.distill.logits import float32, soft_targets
from jcompress.distill.responses import outputs_and_features

Soft = Callable[[Any, Any, Any], Any]
Between = Callable[[Any, Any], Any]


def loss(
  student: Callable[..., Any],
  teacher: Callable[[Any, Any], Any],
  soft: Soft | None = None,
  *,
  temperature: float = 4.0,
  weight: float = 0.9,
  pairs: Mapping[str, str] | None = None,
  between: Between = attention,
  strength: float = 0.0,
) -> Callable[..., Any]:
  """A `loss_fn` whose batch is `(teacher's params, inputs, labels)`.

  `(1 - weight) * cross entropy + weight * soft + strength * between`. The
  teacher's params come with each batch, so that they are an argument of the
  step: what a function closes over becomes constants of what is compiled.

  >>> student = teacher = lambda params, x: x @ params['w']
  >>> loss_fn = loss(student, teacher, temperature=2.0, weight=1.0)
  >>> x, y = jnp.array([[1.0]]), jnp.array([0])
  >>> params = {'w': jnp.array([[2.0, 0]])}
  >>> value, metrics = loss_fn(params, (params, x, y))
  >>> float(value), round(float(metrics['hard']), 4)
  (0.0, 0.1269)

  Args:
    student: `(params, inputs) -> logits`; it is also given `variables=` or
      `key=` where the train state has these, and with variables returns
      `(logits, new variables)`.
    teacher: `(teacher's params, inputs) -> logits`, as it runs in evaluation.
      Its params may be all of its variables; no gradient flows into it.
    soft: `(student's logits, teacher's, labels) -> loss`; default
      `soft_targets` at the temperature. Logits are float32.
    temperature: of the default, positive.
    weight: of `soft`, in 0 .. 1; the rest is that of the labels.
    pairs: layers that are compared beside, the student's kernel path to the
      teacher's, see `features`.
    between: `(student's response, teacher's) -> loss`, summed over pairs.
    strength: of `between`.

  Raises:
    ValueError: `weight` out of range; pairs without strength.
  """
  require_weights(weight, pairs, strength)
  pairs = dict(pairs or {})
  soft = soft or (lambda z, v, labels: soft_targets(z, v, temperature))

  def loss_fn(params, batch, **extras):
    teacher_params, x, labels = batch
    stopped = jax.lax.stop_gradient(teacher_params)
    v, hints = outputs_and_features(teacher, stopped, x, paths=pairs.values())
    run = lambda p, x: student(p, x, **extras)
    out, own = outputs_and_features(run, params, x, paths=pairs)
    z, *new = out if 'variables' in extras else (out,)
    hard = cross_entropy(z, labels)
    value = (1 - weight) * hard + weight * soft(float32(z), float32(v), labels)
    for path, other in pairs.items():
      value += strength * between(own[path], hints[other])
    return value, {'hard': hard}, *new

  return loss_fn


def cross_entropy(logits: Any, labels: Any) -> jax.Array:
  """Its mean over a batch, in float32."""
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(float32(logits), labels)
  )


def require_weights(
  weight: float, pairs: Mapping[str, str] | None, strength: float
) -> None:
  """Refuses weights that make no sense."""
  if not 0 <= weight <= 1:
    raise ValueError(f'weight is {weight}; it must lie in 0 .. 1.')
  if bool(pairs) != bool(strength):
    raise ValueError(
      f'There are {len(pairs or {})} pairs of layers and strength is '
      f'{strength}; give both or none.'
    )

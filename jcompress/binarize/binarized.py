"""Binarized neural networks: batch norm and AdaMax by shifts alone.

Their weights are those of `binary_connect()`, their activations `ops.sign`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jcompress.numerics.estimators import straight_through
from jcompress.numerics.wide import wide


def ap2(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """The power of two nearest in the logarithm: `sgn(x) 2^round(log2 |x|)`.

  Zero stays zero. The boundary between two powers is `sqrt(2)` times the lower
  one; what would overflow gets the largest power of two of its dtype.

  >>> ap2(jnp.array([3.0, 0.7, 0.75, -0.3, 1.5, 5.6, 0.0])).tolist()
  [4.0, 0.5, 1.0, -0.25, 2.0, 4.0, 0.0]

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  # The fraction lies in 1/2 .. 1: a logarithm would miss powers of two.
  fraction, exponent = jnp.frexp(jnp.abs(x).astype(jnp.float32))
  exponent = exponent - (fraction < 0.5**0.5).astype(jnp.int32)
  exponent = jnp.minimum(exponent, jnp.finfo(x.dtype).maxexp - 1)
  power = jnp.where(x == 0, 0.0, jnp.ldexp(jnp.float32(1), exponent))
  return jnp.where(x < 0, -power, power).astype(x.dtype)


class ShiftNormStats(NamedTuple):
  """Running statistics of `shift_batch_norm`, each `[channels]`, float32."""

  mean: jax.Array
  inverse_std: jax.Array


def shift_batch_norm(
  x: Float[Array, '*batch channels'],
  scale: Float[Array, ' channels'],
  offset: Float[Array, ' channels'],
  stats: ShiftNormStats,
  *,
  train: bool,
  momentum: float = 0.125,
  eps: float = 1e-5,
) -> tuple[Float[Array, '*batch channels'], ShiftNormStats]:
  """Batch norm whose products are shifts.

  With `c = x - mean(x)` and `v = mean(c AP2(c))`,
  `y = AP2(scale) (c AP2(1 / sqrt(v + eps))) + offset`. Backward, the formula of
  batch norm is used with `AP2(c)` and `AP2(1 / sqrt(v + eps))` in the place of
  what they approximate; `AP2(scale)` passes its gradient on unchanged.

  Args:
    x: the channels last.
    scale: of each channel.
    offset: of each channel.
    stats: running mean and inverse standard deviation. Start with zeros and
      ones.
    train: whether the statistics are those of this batch.
    momentum: weight of this batch in the running statistics, `0 .. 1`.
    eps: added to the variance.

  Returns:
    The output, and the running statistics; they change only with `train`.

  Raises:
    ValueError: `momentum` outside `0 .. 1`, `eps` not positive.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  if not 0 <= momentum <= 1:
    raise ValueError(f'momentum is {momentum}; it must lie in 0 .. 1.')
  if not eps > 0:
    raise ValueError(f'eps is {eps}; it must be positive.')
  x32 = x.astype(jnp.float32)
  if train:
    normal, mean, inverse_std = _normalize(x32, eps)
    new = jax.lax.stop_gradient(ShiftNormStats(mean, inverse_std))
    stats = jax.tree.map(lambda a, b: a + momentum * (b - a), stats, new)
  else:
    normal = (x32 - stats.mean) * ap2(stats.inverse_std)
  shift = straight_through(ap2(scale), scale).astype(jnp.float32)
  return (shift * normal + offset).astype(x.dtype), stats


@jax.custom_vjp
def _normalize(x, eps):
  return _normalize_forward(x, eps)[0]


def _normalize_forward(x, eps):
  axes = tuple(range(x.ndim - 1))
  mean = x.mean(axes)
  centered = x - mean
  power = ap2(centered)
  inverse_std = 1 / jnp.sqrt((centered * power).mean(axes) + eps)
  shift = ap2(inverse_std)
  return (centered * shift, mean, inverse_std), (power, shift)


def _normalize_backward(residuals, grads):
  power, shift = residuals
  grad, axes = grads[0], tuple(range(power.ndim - 1))
  along = shift**2 * power * (grad * power).mean(axes)
  return shift * (grad - grad.mean(axes) - along), None


_normalize.defvjp(_normalize_forward, _normalize_backward)


class ShiftAdamaxState(NamedTuple):
  calls: jax.Array  # of update so far, int32
  mean: optax.Updates  # of the gradients, float32
  largest: optax.Updates  # of their magnitudes, decaying, float32


def shift_adamax(
  learning_rate: optax.ScalarOrSchedule = 2.0**-10,
  b1: float = 1 - 2.0**-3,
  b2: float = 1 - 2.0**-10,
  eps: float = 2.0**-27,
) -> optax.GradientTransformation:
  """AdaMax whose products are shifts.

  `m = b1 m + (1 - b1) g`, `v = max(b2 v, |g|)`, and the step is
  `-AP2(rate / (1 - b1^t)) m / AP2(v)`.

  Args:
    learning_rate: a number, or a schedule over the updates so far.
    b1: decay of the mean of the gradients, `0 .. 1`.
    b2: decay of their largest magnitude, `0 .. 1`.
    eps: least value of `AP2(v)`.

  Raises:
    ValueError: a decay outside `0 .. 1`, `eps` not positive.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
  """
  for name, decay in (('b1', b1), ('b2', b2)):
    if not 0 <= decay < 1:
      raise ValueError(f'{name} is {decay}; it must lie in 0 .. 1, below 1.')
  if not eps > 0:
    raise ValueError(f'eps is {eps}; it must be positive.')

  def init(params):
    # In bfloat16 the decay of the largest magnitude would be 1.
    zeros = jax.tree.map(lambda x: jnp.zeros_like(wide(x)), params)
    return ShiftAdamaxState(jnp.zeros([], jnp.int32), zeros, zeros)

  def update(grads, state, params=None):
    del params
    calls = optax.safe_increment(state.calls)
    rate = learning_rate
    if callable(learning_rate):
      rate = learning_rate(state.calls)
    mean = jax.tree.map(
      lambda m, g: b1 * m + (1 - b1) * wide(g), state.mean, grads
    )
    largest = jax.tree.map(
      lambda v, g: jnp.maximum(b2 * v, jnp.abs(wide(g))), state.largest, grads
    )
    size = ap2(jnp.asarray(rate / (1 - b1**calls), jnp.float32))

    def step(m, v, g):
      return (-size * m / jnp.maximum(ap2(v), eps)).astype(g.dtype)

    updates = jax.tree.map(step, mean, largest, grads)
    return updates, ShiftAdamaxState(calls, mean, largest)

  return optax.GradientTransformation(init, update)

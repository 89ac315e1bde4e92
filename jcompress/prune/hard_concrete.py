"""L0 regularization: the optimizer pays for each weight that is not zero."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.base import Compressor
from jcompress.binarize.latent import distinct_keys, draw_key, next_key
from jcompress.encoded import Sparse
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics import draws

# Further out a gate hardly gets a gradient, and would not come back.
_LARGEST_LOG_ALPHA = math.log(100)


class GatedWeights(NamedTuple):
  """The latent of one array."""

  w: jax.Array  # of the dtype of the params
  log_alpha: jax.Array  # of the gates, float32; size 1 along axes that share


class GateState(NamedTuple):
  key: jax.Array  # of the gates of this step
  live: jax.Array  # of the weight, bool: false where it was zero at init


def hard_concrete(
  strength: float,
  *,
  axis: int | None = None,
  dropout: float = 0.5,
  temperature: float = 2 / 3,
  stretch: tuple[float, float] = (-0.1, 1.1),
  keep_zeros: bool = False,
  seed: int = 0,
) -> Compressor:
  """Multiplies weights by random gates that can close, and pays for open ones.

  With `u` uniform in 0 .. 1, drawn anew in each step, `stretch = (gamma, zeta)`
  and `temperature = beta`, a gate is

      s = sigmoid((log u - log(1 - u) + log alpha) / beta)
      z = clip(s (zeta - gamma) + gamma, 0, 1)

  which is exactly zero, or one, with some probability; `view = w z`. The latent
  of an array is the weight and `log alpha`, and the penalty is the number of
  weights that are expected not to be zero:

      strength * sum P(z != 0) * (number of weights that share the gate)

  What is shipped are the weights times the gates of `shipped_gate`, zeros and
  ones but for a few. Weights that are zero at `init` stay zero and are not
  counted. Gates are drawn once a step, not once an example.

  The gate that ships is closed where `log alpha < log(-gamma / zeta)`, that is
  -2.4. An optimizer such as Adam moves it by about the learning rate in a step:
  give it some thousand steps, or a larger rate by `hard_concrete_labels`.

  Args:
    strength: what a weight costs, `>= 0`, in units of the loss. Of a mean over
      examples the paper's lambda is to be divided by their number, such as
      0.1 / 60000.
    axis: which weights share a gate. `None`: none, a gate a weight. Otherwise
      there is one for each index along this axis of a kernel `[..., in, out]`:
      -1 for each output unit or filter, -2 for each input unit or channel.
    dropout: the probability with which the gates start to be dropped,
      `0.01 .. 0.99`: `log alpha = log(1 - dropout) - log(dropout)`. The mean
      of the view is smaller than the params by about this fraction.
    temperature: beta, between 0 and 1.
    stretch: gamma below 0, and zeta above 1.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.
    seed: of the gates.

  Raises:
    ValueError: a number out of range; in `init`, an array without that axis.

  References:
    Louizos et al., Learning Sparse Neural Networks through L0 Regularization,
    2018, arXiv 1712.01312. The bounds of `log alpha`, `log 0.01 .. log 100`,
    are those of the authors' code.
  """
  if not 0 <= strength < math.inf:
    raise ValueError(f'strength is {strength}; it must be finite and >= 0.')
  if not 0.01 <= dropout <= 0.99:
    raise ValueError(f'dropout is {dropout}; it must lie in 0.01 .. 0.99.')
  if not 0 < temperature < 1:
    raise ValueError(
      f'temperature is {temperature}; it must lie between 0 and 1.'
    )
  gamma, zeta = stretch
  if not -math.inf < gamma < 0 or not 1 < zeta < math.inf:
    raise ValueError(
      f'stretch is {stretch}; it must be (gamma, zeta), gamma < 0, zeta > 1.'
    )
  start = math.log(1 - dropout) - math.log(dropout)

  def init(w):
    shared = _shared(w, axis)
    if shared:
      shape = [1 if i in shared else n for i, n in enumerate(w.shape)]
      log_alpha = jnp.full(shape, start, jnp.float32)
    else:
      log_alpha = jnp.full_like(w, start, jnp.float32)
    live = live_weights(w, keep_zeros)
    return GatedWeights(w, log_alpha), GateState(jax.random.key(seed), live)

  def view(latent, state):
    key = draw_key(state.key)
    z = gate(key, latent.log_alpha, temperature, stretch)
    return _gated(latent.w, z, state.live)

  def penalty(latent, state):
    open_gates = open_probability(latent.log_alpha, temperature, stretch)
    weights, shared = state.live, _shared(state.live, axis)
    if shared:
      weights = jnp.sum(weights, shared, jnp.float32, keepdims=True)
    return strength * jnp.sum(weights.astype(jnp.float32) * open_gates)

  def update(latent, state, grad):
    del grad
    bound = _LARGEST_LOG_ALPHA
    log_alpha = jnp.clip(latent.log_alpha, -bound, bound)
    latent = latent._replace(log_alpha=log_alpha)
    return latent, state._replace(key=next_key(state.key))

  def encode(latent, state):
    z = shipped_gate(latent.log_alpha, stretch)
    return Sparse(_gated(latent.w, z, state.live), state.live & (z > 0))

  return distinct_keys(leafwise(init, view, encode, penalty, update))


def hard_concrete_labels(latent: Any) -> Any:
  """Names what each part of a latent is, for `optax.partition`.

  Args:
    latent: of `hard_concrete`, or one that holds it, as behind `select`.

  Returns:
    A tree of the same form, 'gates' where it holds `log alpha`, else 'weights'.
  """
  label = lambda x: x._replace(w='weights', log_alpha='gates')
  return tree.label_parts(latent, GatedWeights, label)


def gate(
  key: jax.Array,
  log_alpha: Float[Array, '*shape'],
  temperature: float = 2 / 3,
  stretch: tuple[float, float] = (-0.1, 1.1),
) -> Float[Array, '*shape']:
  """Draws gates; see `hard_concrete`."""
  return _gate(key, log_alpha, temperature, stretch)


def shipped_gate(
  log_alpha: Float[Array, '*shape'],
  stretch: tuple[float, float] = (-0.1, 1.1),
) -> Float[Array, '*shape']:
  """The gate without noise, `clip(sigmoid(log alpha) (zeta - gamma) + gamma)`.

  >>> shipped_gate(jnp.array([-3.0, 0.0, 3.0]))
  Array([0. , 0.5, 1. ], dtype=float32)
  """
  return _stretched(jax.nn.sigmoid(log_alpha), stretch)


def open_probability(
  log_alpha: Float[Array, '*shape'],
  temperature: float = 2 / 3,
  stretch: tuple[float, float] = (-0.1, 1.1),
) -> Float[Array, '*shape']:
  """With what probability a gate is not zero.

  >>> print(round(float(open_probability(jnp.float32(0.0))), 6))
  0.831822
  """
  gamma, zeta = stretch
  shift = temperature * math.log(-gamma / zeta)
  return jax.nn.sigmoid(log_alpha - shift)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _gate(key, log_alpha, temperature, stretch):
  u = draws.uniform(key, log_alpha.shape)
  # The sigmoid of a logarithm is a power, and that of the usual temperature
  # takes a third of the time.
  odds = (1 - u) / u * jnp.exp(-log_alpha)
  is_usual = temperature == 2 / 3
  power = odds * jnp.sqrt(odds) if is_usual else odds ** (1 / temperature)
  return _stretched(1 / (1 + power), stretch)


def _gate_forward(key, log_alpha, temperature, stretch):
  z = _gate(key, log_alpha, temperature, stretch)
  return z, z


def _gate_backward(temperature, stretch, z, grad):
  # From z itself: the draw and its logarithms need not be kept or repeated.
  gamma, zeta = stretch
  slope = (z - gamma) * (zeta - z) / ((zeta - gamma) * temperature)
  return None, jnp.where((z > 0) & (z < 1), grad * slope, 0)


_gate.defvjp(_gate_forward, _gate_backward)


def _stretched(s, stretch):
  gamma, zeta = stretch
  return jnp.clip(s * (zeta - gamma) + gamma, 0, 1)


def _gated(w, z, live):
  return apply_mask((w.astype(jnp.float32) * z).astype(w.dtype), live)


def _shared(w, axis):
  """The axes along which gates are shared."""
  if axis is None:
    return ()
  if not -w.ndim <= axis < w.ndim:
    raise ValueError(
      f'An array {list(w.shape)} has no axis {axis}. Leave biases and norms '
      'out, by select(KERNELS, ...), or give another axis.'
    )
  return tuple(i for i in range(w.ndim) if i != axis % w.ndim)

"""Loss-aware binarization: signs and a scale that the curvature weighs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jcompress.base import Compressor
from jcompress.binarize.latent import clip_to
from jcompress.encoded import Signs
from jcompress.leafwise import leafwise
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.prox import binary


class CurvatureState(NamedTuple):
  moment: jax.Array  # second, of the gradients at the view, float32


def loss_aware_binarize(
  *, b2: float = 0.999, eps: float = 1e-8, clip: bool = True
) -> Compressor:
  """Shows the model the signs that raise its loss least, by a proximal step.

  With `d = sqrt(v) + eps`, where `v` is Adam's second moment of the gradients,
  the view minimizes `sum d (w - alpha b)^2` over `b` in `{-1, 1}` and `alpha`:
  `b = sgn(w)`, `alpha = sum d |w| / sum d`, one scale for the array. Trained
  by `optax.adam` with the same `b2`, this is the proximal Newton step of the
  paper: the gradient of the view reaches the weights as it is, and the view of
  a step knows the gradients of the steps before. Before the first of them `d`
  is constant and the view is that of `binary_weight('layer')`.

  Args:
    b2: decay of the second moment, that of Adam, `0 .. 1`.
    eps: added to its root.
    clip: clips the weights to `-1 .. 1` after each step, as the paper's code
      does.

  Raises:
    ValueError: `b2` outside `0 .. 1`, `eps` not positive.

  References:
    Hou et al., Loss-aware Binarization of Deep Networks, 2017,
    arXiv 1611.01600, algorithm 1.
  """
  require_moment(b2, eps)

  def init(w):
    return w, CurvatureState(jnp.zeros_like(w, jnp.float32))

  def scale(w, state):
    a = binary(w, curvature(state.moment, eps)).scale
    return a.reshape(()).astype(w.dtype)

  def view(w, state):
    a = scale(w, state)
    return straight_through(jnp.where(w >= 0, a, -a), w)

  def update(w, state, grad):
    moment = next_moment(state.moment, grad, b2)
    return (clip_to(w, 1) if clip else w), CurvatureState(moment)

  def encode(w, state):
    return Signs(w >= 0, scale(w, state))

  return leafwise(init, view, encode, update=update)


def curvature(
  moment: Float[Array, '*shape'], eps: float
) -> Float[Array, '*shape']:
  """The diagonal that stands for the Hessian, up to a factor."""
  return jnp.sqrt(moment) + eps


def next_moment(
  moment: Float[Array, '*shape'], grad: Float[Array, '*shape'], b2: float
) -> Float[Array, '*shape']:
  """Adam's second moment after one more gradient, in float32."""
  return optax.tree.update_moment_per_elem_norm(
    grad.astype(jnp.float32), moment, b2, 2
  )


def require_moment(b2: float, eps: float) -> None:
  if not 0 <= b2 < 1:
    raise ValueError(f'b2 is {b2}; it must lie in 0 .. 1, below 1.')
  if not eps > 0:
    raise ValueError(f'eps is {eps}; it must be positive.')

"""The inverse Hessian of a layer, factored: what brain surgery runs on."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Factored(NamedTuple):
  """A Hessian of a layer and its factor; that of its inverse where it is asked.

  Attributes:
    hessian: made symmetric, in float64; rows of dead inputs are zero.
    damped: what was factored.
    root: upper triangular `R`; `R R^T` is `damped` with its inputs in `order`.
    order: of the inputs.
    added: to the diagonal.
    dead: which inputs were zero in all examples.
    epsilon: what is left of a diagonal by rounding alone, as a fraction.
  """

  hessian: Float[np.ndarray, 'in in']
  damped: Float[np.ndarray, 'in in']
  root: Float[np.ndarray, 'in in']
  order: Int[np.ndarray, ' in']
  added: float
  dead: Bool[np.ndarray, ' in']
  epsilon: float

  @property
  def factor(self) -> Float[np.ndarray, 'in in']:
    """Upper triangular `U = R^-1`; `U^T U` is the inverse of `damped`."""
    lower = self.root[::-1, ::-1]
    return np.triu(np.linalg.inv(lower)[::-1, ::-1])

  @property
  def singular(self) -> bool:
    """Whether there is no inverse without what was added."""
    damped = _damped(self.hessian, self.dead, 0.0)
    return not _root(damped, self.order, self.epsilon)[1]


def factor_inverse(
  hessian: Any, inputs: int, damping: float, *, sort: bool = False
) -> Factored:
  """Damps the Hessian of a layer and factors its inverse.

  The inputs that are zero in all examples get a vanishing curvature of their
  own, so that their weights cost nothing, go first, and touch no others.

  Args:
    hessian: `[inputs, inputs]`, symmetric, positive semi-definite.
    inputs: of the layer.
    damping: added to the diagonal, as a fraction of its mean over the inputs
      that are not dead, `>= 0`.
    sort: whether the factor has the inputs of the largest curvature first.

  Raises:
    ValueError: damping out of range; a Hessian that does not fit, is not
      symmetric positive semi-definite, or has no inverse and no damping.
  """
  h = layer_hessian(hessian, inputs)
  epsilon = inputs * np.finfo(np.asarray(hessian).dtype).eps
  if not damping >= 0 or not np.isfinite(damping):
    raise ValueError(f'damping is {damping}; it must be finite and >= 0.')
  dead = np.diagonal(h) == 0
  h[dead] = h[:, dead] = 0
  scale = _mean_diagonal(h, dead)
  added = damping * scale
  order = np.arange(inputs)
  if sort:
    order = np.argsort(-np.diagonal(h), kind='stable')

  damped = _damped(h, dead, added)
  root, is_regular = _root(damped, order, epsilon)
  if not is_regular:
    least = np.linalg.eigvalsh(h[~dead][:, ~dead])[0]
    # Inputs of very different sizes have small pivots for a good reason: what
    # is below zero tells the rounding, and the damping may be far above it.
    is_regular = root is not None and added > -10 * least and added > 0
  if not is_regular:
    raise ValueError(
      f'The Hessian of {np.sum(~dead)} inputs that are not dead has no '
      f'inverse: its least eigenvalue is {least:.3g}, its mean diagonal '
      f'{scale:.3g}, {added:.3g} was added. Give more damping than {damping}, '
      'or at least as many examples as inputs.'
    )
  return Factored(h, damped, root, order, float(added), dead, float(epsilon))


def _damped(h, dead, added):
  """With a vanishing curvature of their own for the dead."""
  scale = _mean_diagonal(h, dead)
  return h + np.diag(np.where(dead, 1e-30 * scale, added))


def _mean_diagonal(h, dead):
  return np.mean(np.diagonal(h)[~dead]) if not dead.all() else 1.0


def _root(damped, order, epsilon):
  """Also whether the digits of the Hessian suffice for it."""
  turned = damped[np.ix_(order[::-1], order[::-1])]
  lower = _cholesky(turned)
  if lower is None:
    return None, False
  pivots = np.diagonal(lower) ** 2 / np.diagonal(turned)
  return lower[::-1, ::-1], pivots.min(initial=1) > epsilon


def layer_hessian(hessian: Any, inputs: int) -> Float[np.ndarray, 'in in']:
  """Checks the Hessian of a layer and makes it symmetric, in float64.

  Raises:
    ValueError: one that does not fit, is not symmetric, or has NaN, inf or a
      diagonal below zero.
  """
  h = np.array(hessian, np.float64)
  epsilon = inputs * np.finfo(np.asarray(hessian).dtype).eps
  if h.shape != (inputs, inputs):
    raise ValueError(
      f'The Hessian is {list(h.shape)}; a layer of {inputs} inputs needs '
      f'[{inputs}, {inputs}].'
    )
  diagonal = np.diagonal(h)
  if not np.isfinite(h).all() or (diagonal < 0).any():
    raise ValueError(
      f'The Hessian has {np.sum(~np.isfinite(h))} entries that are NaN or inf '
      f'and {np.sum(diagonal < 0)} below zero on its diagonal.'
    )
  allowed = epsilon * diagonal.max(initial=0) + 1e-3 * np.abs(h)
  if (np.abs(h - h.T) > allowed).any():
    raise ValueError('The Hessian is not symmetric.')
  return (h + h.T) / 2


def _cholesky(h):
  try:
    return np.linalg.cholesky(h)
  except np.linalg.LinAlgError:
    return None

"""How much an error in each weight matters, for codebooks that weigh it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float

from jcompress import tree

_LEAST = 1e-6  # of the mean


def second_moment(opt_state: Any) -> Any:
  """The importance `sqrt(v)` of weights, from the state of Adam.

  `v` follows the squared gradients, so that its root stands in for the
  diagonal of the Hessian. Take it at the end of training, at the last learning
  rate. Of training through a compressor it is that of the latent: where this is
  weights, it has the paths of the params, and `tree.split(pattern, ...)[0]` is
  what `select(pattern, ...)` wants.

  Args:
    opt_state: of any optax optimizer with one `nu`.

  Raises:
    ValueError: it has none, or several.

  References:
    Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
      1612.01543, section 3.5.
  """
  try:
    nu = optax.tree.get(opt_state, 'nu')
  except KeyError:
    raise ValueError(
      'opt_state has several second moments `nu`: pass the part with one.'
    ) from None
  if nu is None:
    raise ValueError(
      'opt_state has no second moment `nu`: train with optax.adam or adamw.'
    )
  return jax.tree.map(lambda v: jnp.sqrt(v.astype(jnp.float32)), nu)


def require_importance_fits(importance: Any, params: Any) -> None:
  """Raises a `ValueError` unless each param has importances, some positive."""
  have, want = tree.paths(importance), tree.paths(params)
  if have != want:
    raise ValueError(
      f'The importance has the leaves {have}, the params have {want}. Give an '
      'array for each; under select(pattern, ...) only for leaves that match.'
    )
  pairs = zip(jax.tree.leaves(importance), jax.tree.leaves(params), strict=True)
  for path, (h, w) in zip(want, pairs, strict=True):
    h = np.asarray(tree.to_host(h), np.float64)
    if h.shape != w.shape:
      raise ValueError(
        f'The importance of {path} has the shape {list(h.shape)}; it must be '
        f'{list(w.shape)}, one number a weight.'
      )
    if not np.isfinite(h).all():
      raise ValueError(
        f'The importance of {path} has NaN or inf; it must be finite.'
      )
    if h.size and not (h > 0).any():
      raise ValueError(
        f'The importance of {path} is nowhere positive. Were these gradients '
        'or curvatures taken of a loss that depends on it?'
      )


def live_importance(
  importance: Any, live: list[Bool[np.ndarray, '...']]
) -> Float[np.ndarray, ' n']:
  """Importances of the weights that are not zero, of all leaves in one row.

  Negative ones, as of a Hessian away from a minimum, and zeros become a
  millionth of the mean, so that each cluster has some mass.

  Raises:
    ValueError: none is positive.
  """
  leaves = [np.asarray(h, np.float64) for h in jax.tree.leaves(importance)]
  parts = [x[m] for x, m in zip(leaves, live, strict=True)]
  h = np.maximum(np.concatenate([np.zeros(0), *parts]), 0)
  if h.size and not h.any():
    raise ValueError(
      'No weight that is not zero has a positive importance. Take it of the '
      'pruned weights, not of the dense ones.'
    )
  return np.maximum(h, _LEAST * h.mean()) if h.size else h

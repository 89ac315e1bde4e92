"""Optimal Brain Surgeon: a weight goes, and all the others make up for it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jcompress import tree
from jcompress.finite import require_finite
from jcompress.numerics.whole import require_whole

_BATCH = 64


def obs_prune(
  params: Any,
  inverse: Array | np.ndarray | Callable[[Any], Array | np.ndarray],
  *,
  sparsity: float | None = None,
  max_increase: float | None = None,
  accept: Callable[[Any], bool] | None = None,
  together: int = 1,
  prunable: Any = None,
) -> tuple[Any, Any]:
  """Removes the weights whose removal costs least once the rest is adjusted.

  With the inverse Hessian `G` at a minimum of the error, removing weight `q`
  and moving the others by `-w_q G[:, q] / G[q, q]` raises the error by the
  saliency `w_q^2 / (2 G[q, q])`. The weight of least saliency goes, `G` becomes
  the inverse Hessian of the others, and so on. No training is needed between.
  Weights that are zero already count as removed and stay zero.

  Args:
    params: tree of arrays with `n` entries in all, trained to a minimum.
    inverse: the `[n, n]` inverse Hessian of the entries in the order of the
      leaves, as `inverse_hessian` gives it, or a function `params -> [n, n]`
      that is called anew before each removal, as in the paper.
    sparsity: fraction of the `n` entries to remove, `0 .. 1`.
    max_increase: stops before the saliencies add up to more than this, `>= 0`.
    accept: `params -> bool`; stops before the first removal it refuses.
      Whichever of these three says so first ends the pruning.
    together: how many weights go in one step, by the joint formula; the ones of
      least saliency each.
    prunable: tree of boolean arrays like `params`, false where an entry must
      stay (biases); it is still adjusted. All are prunable without it.

  Returns:
    The params and the mask of what is left, ready for `with_mask(mask)`.

  Raises:
    ValueError: no criterion; one out of range, or that more removals than
      there are prunable entries would need; an inverse that is not
      symmetric positive definite.

  >>> hessian = np.array([[4.0, 2, 0], [2, 3, 1], [0, 1, 2]])
  >>> w = jnp.array([1.0, 0.75, -0.5])
  >>> w, mask = obs_prune(w, np.linalg.inv(hessian), sparsity=1 / 3)
  >>> print(w, mask)
  [1.125 0.5   0.   ] [ True  True False]

  References:
    Hassibi & Stork, Second Order Derivatives for Network Pruning: Optimal
    Brain Surgeon, NIPS 5, 1993.
  """
  _require_criterion(sparsity, max_increase, accept, together)
  require_finite(params, 'obs_prune')
  leaves, treedef = jax.tree.flatten(params)
  w = _flat(leaves)
  may_go = _flat_mask(prunable, params)
  gone = may_go & (w == 0)
  target = int(may_go.sum())
  if sparsity is not None:
    if round(sparsity * w.size) > target:
      raise ValueError(
        f'sparsity is {sparsity}, which removes {round(sparsity * w.size)} of '
        f'{w.size} entries, but only {target} are prunable.'
      )
    target = round(sparsity * w.size)
  unflat = lambda flat: jax.tree.unflatten(treedef, _split(flat, leaves))

  def current_inverse():
    full = inverse(unflat(w)) if callable(inverse) else inverse
    full = _as_inverse(full, w.size)
    return remove_weights(w, full, np.flatnonzero(gone))[1]

  g = current_inverse()
  total = 0.0
  while gone.sum() < target:
    saliency = np.where(may_go & ~gone, obs_saliency(w, g), np.inf)
    count = min(together, target - int(gone.sum()))
    chosen = np.argsort(saliency, kind='stable')[:count]
    trial, rest, increase = remove_weights(w, g, chosen)
    total += increase
    if max_increase is not None and total > max_increase:
      break
    if accept is not None and not accept(unflat(trial)):
      break
    w, g = trial, rest
    gone[chosen] = True
    if callable(inverse) and gone.sum() < target:
      g = current_inverse()
  mask = [jnp.asarray(m, bool) for m in _split(~gone, leaves)]
  return unflat(w), jax.tree.unflatten(treedef, mask)


def inverse_hessian(
  gradients: Float[Array | np.ndarray, 'examples *outputs n'],
  alpha: float = 1e-4,
) -> Float[np.ndarray, 'n n']:
  """Inverts `alpha I + sum_k sum_l X_kl X_kl^T / P` in one pass over the data.

  With `X` the gradients of the outputs this is the Hessian of the squared error
  `sum_kl (t_kl - o_kl)^2 / (2 P)`, less a term that vanishes at a good fit;
  with `X` the gradients of log likelihoods it is the Fisher matrix.

  Args:
    gradients: with respect to the `n` entries, of each of the `P` examples and,
      where there are several, of each output:
      `jax.vmap(jax.jacrev(lambda w, x: ...), (None, 0))(w, xs)`.
    alpha: damping, `> 0`, the paper's start `I / alpha` of the recursion.

  Returns:
    In float64, in which the recursion keeps 14 digits where float32 loses all.

  Raises:
    ValueError: `alpha` is not positive, or the gradients are not finite.
  """
  x = np.asarray(gradients, np.float64)
  if not alpha > 0:
    raise ValueError(
      f'alpha is {alpha}; it must be positive (1e-8 .. 1e-4): {len(x)} '
      f'examples alone need not determine {x.shape[-1]} weights.'
    )
  if not np.isfinite(x).all():
    raise ValueError('The gradients have NaN or inf.')
  examples = len(x)
  x = x.reshape(-1, x.shape[-1])
  g = np.eye(x.shape[-1]) / alpha
  for start in range(0, len(x), _BATCH):
    batch = x[start : start + _BATCH]
    moved = batch @ g
    inner = examples * np.eye(len(batch)) + moved @ batch.T
    g -= moved.T @ np.linalg.solve(inner, moved)  # eqs. 17-18, a batch at once
    g = (g + g.T) / 2
  return g


def obs_saliency(
  w: Float[np.ndarray, ' n'], inverse: Float[np.ndarray, 'n n']
) -> Float[np.ndarray, ' n']:
  """Increase of the error if one weight goes; infinite if it is gone already.

  Raises:
    ValueError: the inverse Hessian lost positive definiteness by rounding.
  """
  diagonal = np.diagonal(inverse)
  if (diagonal < 0).any():
    raise ValueError(
      f'The inverse Hessian has {diagonal.min():.3g} on its diagonal. Give '
      'one with more damping (alpha).'
    )
  with np.errstate(divide='ignore'):
    return np.where(
      diagonal > 0, w**2 / (2 * np.where(diagonal > 0, diagonal, 1)), np.inf
    )  # eq. 5


def remove_weights(
  w: Float[np.ndarray, ' n'],
  inverse: Float[np.ndarray, 'n n'],
  indices: Int[np.ndarray, ' k'],
) -> tuple[Float[np.ndarray, ' n'], Float[np.ndarray, 'n n'], float]:
  """Removes several weights jointly: the generalized Optimal Brain Surgeon.

  `w <- w - G[:, S] (G[S, S])^-1 w_S`, which raises the error by
  `w_S^T (G[S, S])^-1 w_S / 2`.

  Returns:
    The weights, zero at `indices`; the inverse Hessian of the others, zero in
    those rows and columns; the increase of the error.
  """
  if not len(indices):
    return w, inverse, 0.0
  columns = inverse[:, indices]
  both = np.concatenate([w[indices, None], columns.T], axis=1)
  solved = np.linalg.solve(columns[indices], both)
  rest = inverse - columns @ solved[:, 1:]
  rest[indices] = rest[:, indices] = 0
  moved = w - columns @ solved[:, 0]
  moved[indices] = 0
  return moved, rest, float(w[indices] @ solved[:, 0] / 2)


def _as_inverse(inverse, size):
  g = np.asarray(inverse, np.float64)
  if g.shape != (size, size):
    raise ValueError(
      f'The inverse Hessian is {list(g.shape)}; for {size} params it must be '
      f'[{size}, {size}].'
    )
  if not np.isfinite(g).all():
    raise ValueError('The inverse Hessian has NaN or inf. Damp the Hessian.')
  if not np.allclose(g, g.T, rtol=1e-4, atol=1e-6 * np.abs(g).max(initial=0)):
    raise ValueError('The inverse Hessian is not symmetric.')
  if (np.diagonal(g) <= 0).any():
    raise ValueError(
      f'The inverse Hessian has {np.diagonal(g).min():.3g} on its diagonal; '
      'all entries there must be positive. Damp the Hessian.'
    )
  return (g + g.T) / 2


def _flat(leaves):
  parts = [tree.to_host(x).astype(np.float64).ravel() for x in leaves]
  return np.concatenate([np.zeros(0), *parts])


def _flat_mask(prunable, params):
  leaves, treedef = jax.tree.flatten(params)
  if prunable is None:
    return np.ones(sum(x.size for x in leaves), bool)
  masks, given = jax.tree.flatten(prunable)
  shapes = lambda xs: [np.shape(x) for x in xs]
  if given != treedef or shapes(masks) != shapes(leaves):
    raise ValueError(
      f'prunable has arrays of the shapes {shapes(masks)}, the params of '
      f'{shapes(leaves)}. Give one boolean array a leaf, of its shape.'
    )
  return _flat(masks) != 0


def _split(flat, leaves):
  ends = np.cumsum([x.size for x in leaves])[:-1]
  return [
    jnp.asarray(part.reshape(x.shape), x.dtype)
    for part, x in zip(np.split(flat, ends), leaves, strict=True)
  ]


def _require_criterion(sparsity, max_increase, accept, together):
  if sparsity is None and max_increase is None and accept is None:
    raise ValueError('Give sparsity, max_increase or accept, or several.')
  if sparsity is not None and not 0 <= sparsity <= 1:
    raise ValueError(f'sparsity is {sparsity}; it must lie in 0 .. 1.')
  if max_increase is not None and not max_increase >= 0:
    raise ValueError(f'max_increase is {max_increase}; it must be >= 0.')
  require_whole('together', together, 1)

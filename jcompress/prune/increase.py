"""How well second derivatives foretell what pruning does to the loss."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jcompress import tree
from jcompress.prune.obd import obd_prune, obd_saliency
from jcompress.prune.obs import obs_prune, remove_weights


class Increase(NamedTuple):
  """By how much the loss grows, for growing numbers of removed weights."""

  removed: Int[np.ndarray, ' k']
  predicted: Float[np.ndarray, ' k']
  measured: Float[np.ndarray, ' k']


def obd_increase(
  loss_fn: Callable[..., Any],
  params: Any,
  diagonal: Any,
  counts: Sequence[int] | np.ndarray,
  *inputs: Any,
) -> Increase:
  """Sums the saliencies of what Optimal Brain Damage removes, and looks.

  The paper found both to agree up to about 30 % of the weights.

  Args:
    loss_fn: `(params, *inputs) -> scalar`, of which `diagonal` holds second
      derivatives; compiled once.
    params: see `obd_saliency`; `n` entries in all.
    diagonal: see `obd_saliency`.
    counts: how many of the `n` weights are zero; those that are zero already
      count, and cost nothing.
    *inputs: what the loss function takes beside the params, such as a batch.

  Raises:
    ValueError: a count out of range; trees that do not match.

  >>> import jax.numpy as jnp
  >>> loss_fn = lambda w: (w - 1) @ (w - 1)  # also away from the minimum
  >>> w, diagonal = jnp.array([1.0, 1.0, 1.5]), jnp.full(3, 2.0)
  >>> found = obd_increase(loss_fn, w, diagonal, [1, 2, 3])
  >>> print(found.predicted, found.measured)
  [1.   2.   4.25] [1.   2.   2.75]

  References:
    LeCun, Denker & Solla, Optimal Brain Damage, NIPS 2, 1990, figure 1.
  """
  saliency = _flat(obd_saliency(params, diagonal))
  size = _require_counts(params, counts)

  def prune(count, _):
    return obd_prune(params, diagonal, sparsity=count / size)

  predict = lambda gone: saliency[gone].sum()
  return _compare(loss_fn, params, prune, predict, counts, inputs)


def obs_increase(
  loss_fn: Callable[..., Any],
  params: Any,
  inverse: Float[Array | np.ndarray, 'n n'],
  counts: Sequence[int] | np.ndarray,
  *inputs: Any,
  together: int = 1,
) -> Increase:
  """The same of Optimal Brain Surgeon, which moves the other weights along.

  Predicted is `w_S^T (G[S, S])^-1 w_S / 2`, the sum of the saliencies at each
  removal, for the removed weights `S` and the inverse Hessian `G`.

  Args:
    loss_fn: see `obd_increase`; at a minimum.
    params: see `obs_prune`.
    inverse: the inverse Hessian of the loss, see `obs_prune`.
    counts: see `obd_increase`; rising.
    *inputs: see `obd_increase`.
    together: see `obs_prune`.

  Raises:
    ValueError: counts out of range, or that fall; what `obs_prune` refuses.

  References:
    Hassibi & Stork, Second Order Derivatives for Network Pruning: Optimal
    Brain Surgeon, NIPS 5, 1993.
  """
  size = _require_counts(params, counts)
  if (np.diff(counts) < 0).any():
    raise ValueError(f'The counts are {list(counts)}; sort them.')
  g = np.asarray(inverse, np.float64)
  w = _flat(params)

  def prune(count, last):
    return obs_prune(last, inverse, sparsity=count / size, together=together)

  predict = lambda gone: remove_weights(w, g, np.flatnonzero(gone))[2]
  return _compare(loss_fn, params, prune, predict, counts, inputs)


def _compare(loss_fn, params, prune, predict, counts, inputs):
  measure = jax.jit(loss_fn)
  before = float(measure(params, *inputs))
  predicted, measured, last = [], [], params
  for count in counts:
    last, mask = prune(int(count), last)
    predicted.append(float(predict(~_flat(mask).astype(bool))))
    measured.append(float(measure(last, *inputs)) - before)
  return Increase(
    np.array(counts, int), np.array(predicted), np.array(measured)
  )


def _flat(params):
  leaves = [tree.to_host(x).ravel() for x in jax.tree.leaves(params)]
  return np.concatenate([np.zeros(0), *leaves]).astype(np.float64)


def _require_counts(params, counts):
  size = sum(x.size for x in jax.tree.leaves(params))
  if not len(counts) or not 0 <= min(counts) <= max(counts) <= size:
    raise ValueError(
      f'The counts are {list(counts)}; give numbers in 0 .. {size}.'
    )
  return size

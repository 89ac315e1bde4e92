"""Pruning before training: SNIP and GraSP score the weights of a start."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.finite import require_finite
from jcompress.mask import live_weights
from jcompress.traced.curvature import hvp

Loss = Callable[[Any, Any], Float[Array, '']]


def snip_score(loss_fn: Loss, params: Any, batch: Any) -> Any:
  """How much the loss depends on each connection (SNIP).

  `s = |g w| / sum |g w|` with `g` the gradient of the loss: the derivative by a
  gate that multiplies the weight, at one.

  Args:
    loss_fn: `(params, batch) -> scalar`.
    params: at initialization.
    batch: what the loss takes; one with about as many examples of each class.

  Returns:
    float32 tree like `params`.

  >>> loss = lambda w, batch: jnp.sum(jnp.square(w - batch)) / 2
  >>> print(snip_score(loss, jnp.array([1.0, -2, 3, 0]), jnp.array(2.0)))
  [0.08333334 0.6666667  0.25       0.        ]

  References:
    Lee, Ajanthan & Torr, SNIP: Single-shot Network Pruning based on Connection
    Sensitivity, 2019, arXiv 1810.02340, section 4.1.
  """

  def score(params, batch):
    grads = jax.grad(loss_fn)(params, batch)
    size = lambda w, g: jnp.abs(w.astype(jnp.float32) * g.astype(jnp.float32))
    sizes = jax.tree.map(size, params, grads)
    total = sum(jnp.sum(x) for x in jax.tree.leaves(sizes))
    total = jnp.where(total > 0, total, 1)
    return jax.tree.map(lambda x: x / total, sizes)  # eq. 6

  return jax.jit(score)(params, batch)


def grasp_score(loss_fn: Loss, params: Any, batch: Any) -> Any:
  """What removing a weight does to the flow of the gradient (GraSP).

  `s = -w * (H g)` with gradient `g` and Hessian `H` of the loss: to first
  order, half of how much the squared norm of the gradient grows without the
  weight. The weights of *lowest* score are to be kept.

  Args:
    loss_fn: `(params, batch) -> scalar`. The paper divides the logits by a
      temperature of 200 in it, which makes the softmax nearly uniform.
    params: at initialization: those that may be pruned, the others belong into
      `loss_fn`.
    batch: what the loss takes; ten examples of each class in the paper.

  Returns:
    float32 tree like `params`.

  >>> curve = jnp.array([1.0, 2, 3])
  >>> loss = lambda w, batch: jnp.sum(curve * jnp.square(w)) / 2
  >>> print(grasp_score(loss, jnp.array([1.0, -1, 2]), None))
  [ -1.  -4. -36.]

  References:
    Wang, Zhang & Grosse, Picking Winning Tickets Before Training by Preserving
    Gradient Flow, 2020, arXiv 2002.07376, section 4.
  """

  def score(params, batch):
    grads = jax.grad(loss_fn)(params, batch)
    product = hvp(loss_fn, params, batch, grads)
    return jax.tree.map(
      lambda w, h: -w.astype(jnp.float32) * h.astype(jnp.float32),
      params,
      product,
    )

  return jax.jit(score)(params, batch)


def snip_mask(
  loss_fn: Loss,
  params: Any,
  batch: Any,
  sparsity: float,
  *,
  pattern: str = tree.KERNELS,
  min_density: float = 0.0,
) -> Any:
  """Keeps the connections that the loss depends on most, of all layers.

  Args:
    loss_fn: `(params, batch) -> scalar`.
    params: at initialization, all that the loss takes.
    batch: see `snip_score`.
    sparsity: fraction of the weights of all kernels to prune, `0 .. 1`. Exactly
      `round((1 - sparsity) * size)` are kept, among equal ones the first, or as
      many as are not zero.
    pattern: which leaves are pruned.
    min_density: fraction of each array that is kept in any case, `0 .. 1`.

  Returns:
    Tree of booleans for `select(pattern, with_mask(mask))`: with `None` where
    the leaf does not match. Train from the same params on.

  Raises:
    ValueError: a number out of range; a pattern that matches nothing; NaN or
      inf in the scores; an array of which nothing would be left.
  """
  chosen, loss_of = _prunable(loss_fn, params, pattern)
  scores = snip_score(loss_of, chosen, batch)
  return _best(scores, chosen, sparsity, min_density)


def grasp_mask(
  loss_fn: Loss,
  params: Any,
  batch: Any,
  sparsity: float,
  *,
  pattern: str = tree.KERNELS,
  min_density: float = 0.0,
) -> Any:
  """Keeps the weights without which the gradient would be smaller.

  Args:
    loss_fn: see `grasp_score`.
    params: at initialization, all that the loss takes.
    batch: see `grasp_score`.
    sparsity: see `snip_mask`.
    pattern: which leaves are pruned.
    min_density: see `snip_mask`.

  Returns:
    Tree of booleans, see `snip_mask`.

  Raises:
    ValueError: see `snip_mask`.
  """
  chosen, loss_of = _prunable(loss_fn, params, pattern)
  scores = grasp_score(loss_of, chosen, batch)
  lowest = jax.tree.map(jnp.negative, scores)
  return _best(lowest, chosen, sparsity, min_density)


def _prunable(loss_fn, params, pattern):
  """The leaves that match, and the loss as a function of these alone."""
  chosen, rest = tree.split(pattern, params)
  return chosen, lambda p, batch: loss_fn(tree.join(p, rest), batch)


def _best(scores, params, sparsity, min_density):
  """Masks of the highest scores of a tree that are not of zeros."""
  for name, value in (('sparsity', sparsity), ('min_density', min_density)):
    if not 0 <= value <= 1:
      raise ValueError(f'{name} is {value}; it must lie in 0 .. 1.')
  require_finite(scores, 'scoring')
  leaves, treedef = jax.tree.flatten(params)
  ranks = [
    np.where(
      tree.to_host(live_weights(w)),
      tree.to_host(s).astype(np.float64),
      -np.inf,
    )
    for w, s in zip(leaves, jax.tree.leaves(scores), strict=True)
  ]
  size = sum(r.size for r in ranks)
  keep = round((1 - sparsity) * size)
  least = [int(np.ceil(min_density * r.size)) for r in ranks]
  if sum(least) > keep:
    raise ValueError(
      f'A sparsity of {sparsity} leaves {keep} of {size} weights, fewer than '
      f'the {sum(least)} that a min_density of {min_density} wants.'
    )
  masks = [_highest(r.ravel(), k) for r, k in zip(ranks, least, strict=True)]
  first = np.concatenate(masks)
  flat = np.concatenate([r.ravel() for r in ranks])
  # What a layer keeps in any case comes before all others.
  rest = _highest(np.where(first, -np.inf, flat), keep - int(first.sum()))
  kept = (first | rest) & (flat > -np.inf)
  ends = np.cumsum([r.size for r in ranks])[:-1]
  masks = [
    m.reshape(r.shape) for m, r in zip(np.split(kept, ends), ranks, strict=True)
  ]
  empty = [
    path
    for path, m, r in zip(tree.paths(params), masks, ranks, strict=True)
    if (r > -np.inf).any() and not m.any()
  ]
  if empty:
    raise ValueError(
      f'A sparsity of {sparsity} leaves nothing of {", ".join(empty)}: no '
      'signal passes. Lower it, or give a min_density such as 0.01.'
    )
  return jax.tree.unflatten(treedef, [jnp.asarray(m) for m in masks])


def _highest(scores, keep):
  mask = np.zeros(scores.shape, bool)
  mask[np.argsort(-scores, kind='stable')[:keep]] = True
  return mask

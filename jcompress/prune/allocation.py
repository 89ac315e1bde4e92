"""How sparse each layer may become, from how much each suffers."""

import numpy as np

from jcompress.prune.sensitivity import Scan


def allocate(scan: Scan, sparsity: float) -> dict[str, float]:
  """Shares a sparsity of the whole network out over its layers.

  Minimizes the sum of what the layers add to the loss, as if they did not
  interact, over the lower convex hull of each curve of the scan: the cheapest
  next weight is pruned first, in whatever layer, until there are enough. At
  most one layer ends between two measured sparsities.

  Args:
    scan: of `sensitivity`.
    sparsity: fraction of the weights of all layers together to prune.

  Returns:
    The sparsity of each path; `round(sparsity * size)` weights over all layers
    are pruned, to the weight.

  Raises:
    ValueError: more than the scan reaches, or less than are zero already; the
      loss of the dense network is not finite.

  >>> import jax
  >>> import jax.numpy as jnp
  >>> import jcompress as jc
  >>> w = {'a': {'kernel': jnp.arange(4.0)}, 'b': {'kernel': 9 * jnp.ones(4)}}
  >>> loss_fn = lambda w: -sum(x.sum() for x in jax.tree.leaves(w))
  >>> found = allocate(jc.sensitivity(loss_fn, w, [0.25, 0.5, 0.75]), 0.5)
  >>> found
  {'a/kernel': 0.75, 'b/kernel': 0.25}

  Train on under it:

  >>> import re
  >>> comp = jc.partition(
  ...   *((re.escape(p), jc.magnitude_prune(s)) for p, s in found.items())
  ... )
  """
  if not all(np.isfinite(r.loss) for r in scan.dense):
    raise ValueError(f'The loss before pruning is {scan.dense[0].loss}.')
  curves = [_hull(scan.curve(r.path)) for r in scan.dense]
  total = sum(r.size for r in scan.dense)
  least, most = (sum(c[i][0] for c in curves) for i in (0, -1))
  wanted = round(sparsity * total)
  if not least <= wanted <= most:
    raise ValueError(
      f'sparsity is {sparsity}, {wanted:,} of {total:,} weights. '
      f'{least:,} are zero already, and the scan goes up to {most:,} '
      f'({most / total:.4g} of all); scan other sparsities.'
    )
  pruned = [c[0][0] for c in curves]
  steps = []
  for layer, curve in enumerate(curves):
    for (x0, y0), (x1, y1) in zip(curve, curve[1:], strict=False):
      steps.append(((y1 - y0) / (x1 - x0), layer, x1 - x0))
  missing = wanted - least
  # Slopes grow along each hull, so that its steps come in their order.
  for _, layer, width in sorted(steps):
    taken = min(width, missing)
    pruned[layer] += taken
    missing -= taken
  return {
    r.path: p / r.size if r.size else 0.0
    for r, p in zip(scan.dense, pruned, strict=True)
  }


def _hull(curve):
  """The lower convex hull of loss over pruned weights, from left to right."""
  start, *rest = curve
  base = start.size - start.kept
  best = {base: start.loss}
  for r in rest:
    x = r.size - r.kept
    if x > base and np.isfinite(r.loss):
      best[x] = min(r.loss, best.get(x, np.inf))
  hull: list[tuple[int, float]] = []
  for x, y in sorted(best.items()):
    while len(hull) > 1:
      (x0, y0), (x1, y1) = hull[-2:]
      if (y1 - y0) * (x - x1) < (y - y1) * (x1 - x0):
        break
      hull.pop()
    hull.append((x, y))
  return hull

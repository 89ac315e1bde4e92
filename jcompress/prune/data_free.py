"""Data-free pruning: neurons that nearly do the same are merged into one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jcompress import tree

_BINS = 100
_PERCENTILE = 95


class MergeReport(NamedTuple):
  saliency: Float[np.ndarray, ' removed']  # of each merge, in their order
  cutoff: float  # the mode of all saliencies; with `remove`, for information


def data_free_prune(
  params: Any,
  *,
  kernel: str,
  outgoing: str,
  remove: int | None = None,
  fraction: float = 1.0,
  homogeneous: bool = True,
  norm: str | None = None,
  statistics: Any = None,
  epsilon: float = 1e-5,
) -> tuple[Any, Bool[np.ndarray, ' units'], MergeReport]:
  """Removes the neurons of a layer whose work others do already, without data.

  If neuron `j` has the weights and the bias of neuron `i`, up to a factor `r`
  that a ReLU lets pass, it can go once `a_i <- a_i + r a_j`, with `a` the
  weights that leave them. Pairs that differ by a little go in the order of what
  that does to the next layer at most: the mean of `a_j^2` times the square of
  the distance of the two.

  Args:
    params: tree of arrays.
    kernel: path of the weights into the neurons, `[..., units]`, dense or
      convolution. The bias, if there is one, lies beside it.
    outgoing: path of the weights that leave them, `[..., units, out]`; behind
      a flattening, any multiple of `units`, with the units fastest. Between the
      two may lie what treats each channel alike: activation, pooling, dropout.
    remove: how many neurons to remove, `0 .. units - 1`. Without it those whose
      saliency is not above the cut-off: the peak of the histogram of all.
    fraction: of the number that the cut-off gives, `0 .. 1`; for large networks
      the paper takes 0.25 to 0.75.
    homogeneous: whether the activation lets positive factors pass (ReLU, leaky
      ReLU). If not (tanh, sigmoid) only equal neurons can be merged.
    norm: path of a batch normalization between the layer and its activation:
      its `scale` and `bias` in `params`, its `mean` and `var` in `statistics`.
      It is folded into the weights to compare them; itself it only loses the
      entries of the neurons that go.
    statistics: tree with the running mean and variance of `norm`.
    epsilon: of `norm`.

  Returns:
    The params, all that belongs to removed neurons being zero; which neurons
    are left, as `shrink` wants it; the saliencies.

  Raises:
    ValueError: paths that are not there; shapes that do not fit; a number out
      of range, or more neurons to remove than can be merged.

  References:
    Srinivas & Babu, Data-free Parameter Pruning for Deep Neural Networks, 2015,
    arXiv 1507.06149.
  """
  leaves, treedef = jax.tree.flatten(params)
  names = tree.paths(params)
  arrays = {
    name: np.asarray(tree.to_host(x), np.float64)
    for name, x in zip(names, leaves, strict=True)
  }
  for path in (kernel, outgoing):
    if path not in arrays:
      raise ValueError(f'There is no {path}; the params have {names}.')
  w, b, own = _weight_sets(arrays, kernel, norm, statistics, epsilon)
  units, out = len(w), arrays[outgoing]
  if out.ndim < 2 or out.shape[-2] % units:
    raise ValueError(
      f'{kernel} has {units} units, {outgoing} the shape {list(out.shape)}; '
      'its last axis but one must be those units, or a multiple.'
    )
  _require_range(remove, fraction, units)
  by_unit = out.reshape(out[..., 0].size // units, units, out.shape[-1])
  a = by_unit.transpose(1, 0, 2).reshape(units, out.size // units)

  scale = np.linalg.norm(w, axis=1) if homogeneous else np.ones(units)
  scale = np.where(scale > 0, scale, 1.0)
  distance = neuron_distance(w, b, homogeneous=homogeneous)
  cutoff = saliency_cutoff(merge_saliency(distance, a * scale[:, None]))
  merges, saliency = _merge_order(distance, a * scale[:, None])
  count = remove
  if remove is None:
    above = np.flatnonzero(saliency > cutoff)
    count = round(fraction * (above[0] if len(above) else len(saliency)))
  elif remove > len(merges):
    raise ValueError(
      f'remove is {remove}, but only {len(merges)} of {units} neurons can be '
      'merged: the others have opposite weights or biases.'
    )

  kept = np.ones(units, bool)
  for i, j in merges[:count]:
    by_unit[:, i] += scale[j] / scale[i] * by_unit[:, j]
    by_unit[:, j] = 0
    kept[j] = False
  for name in own:
    arrays[name] = np.where(kept, arrays[name], 0)
  changed = {outgoing, *own} if count else set()
  new = [
    jnp.asarray(arrays[name], x.dtype) if name in changed else x
    for name, x in zip(names, leaves, strict=True)
  ]
  report = MergeReport(saliency[:count], cutoff)
  return jax.tree.unflatten(treedef, new), kept, report


def neuron_distance(
  w: Float[np.ndarray, 'units inputs'],
  b: Float[np.ndarray, ' units'],
  *,
  homogeneous: bool = True,
) -> Float[np.ndarray, 'units units']:
  """How far apart the weights and biases of neurons are; infinite if opposite.

  For a homogeneous activation, of the weight sets divided by the norms of the
  weights, `|w_i - w_j| / |w_i + w_j| + |b_i - b_j| / |b_i + b_j|`, with 0 for
  0 / 0 (section 3.4); else `|(w, b)_i - (w, b)_j|` (eq. 4).
  """
  if not homogeneous:
    sets = np.concatenate([w, b[:, None]], axis=1)
    square = np.sum(sets**2, axis=1)
    squares = square[:, None] + square - 2 * sets @ sets.T
    # Below that is what rounding makes of equal neurons.
    floor = 1e-14 * (square[:, None] + square)
    return np.sqrt(np.where(squares > floor, squares, 0))
  norm = np.linalg.norm(w, axis=1)
  scale = np.where(norm > 0, norm, 1.0)
  w, b = w / scale[:, None], b / scale
  square = (norm > 0).astype(float)
  product, both = 2 * w @ w.T, square[:, None] + square
  tidy = lambda x: np.where(np.abs(x) > 1e-14, x, 0)
  with np.errstate(divide='ignore', invalid='ignore'):
    weights = np.sqrt(tidy(both - product) / tidy(both + product))
    biases = np.abs(b[:, None] - b) / np.abs(b[:, None] + b)
  return np.nan_to_num(weights, posinf=np.inf) + np.nan_to_num(
    biases, posinf=np.inf
  )


def merge_saliency(
  distance: Float[np.ndarray, 'units units'],
  a: Float[np.ndarray, 'units out'],
) -> Float[np.ndarray, 'units units']:
  """`s[i, j] = mean(a_j^2) distance_ij^2`: of removing `j` for `i` (eq. 4)."""
  mean = np.mean(a**2, axis=1)
  s = np.where(mean == 0, 0.0, np.square(distance))
  s = s * np.where(mean == 0, 1.0, mean)
  np.fill_diagonal(s, np.inf)
  return s


def saliency_cutoff(saliency: Float[np.ndarray, '...']) -> float:
  """The peak of the histogram of saliencies, less the long tail (section 4)."""
  values = saliency[np.isfinite(saliency)]
  if not values.size:
    return 0.0
  top = np.percentile(values, _PERCENTILE)
  if top <= 0:
    return 0.0
  counts, edges = np.histogram(values, bins=_BINS, range=(0, top))
  peak = int(np.argmax(counts))
  return float((edges[peak] + edges[peak + 1]) / 2)


def _merge_order(distance, a):
  """Pairs `(kept, removed)` by least saliency, and those saliencies.

  Each neuron remembers its nearest; only those whose nearest goes look again.
  """
  a = a.copy()
  gap = np.square(distance)
  np.fill_diagonal(gap, np.inf)
  units = len(a)
  alive = np.ones(units, bool)
  nearest: Int[np.ndarray, ' units'] = np.argmin(gap, axis=0)
  merges, saliency = [], []
  for _ in range(units - 1):
    mean = np.mean(a**2, axis=1)
    least = gap[nearest, np.arange(units)]
    cost = np.where(mean == 0, 0.0, least) * np.where(mean == 0, 1.0, mean)
    cost = np.where(alive, cost, np.inf)
    equal = np.flatnonzero(cost == cost.min())
    j = equal[np.argmin(nearest[equal])]
    if not np.isfinite(cost[j]):
      break
    i = nearest[j]
    merges.append((int(i), int(j)))
    saliency.append(cost[j])
    a[i] += a[j]
    a[j] = 0
    alive[j] = False
    gap[j] = np.inf
    lost = np.flatnonzero(nearest == j)
    nearest[lost] = np.argmin(gap[:, lost], axis=0)
  return merges, np.array(saliency)


def _weight_sets(arrays, kernel, norm, statistics, epsilon):
  """Weights `[units, inputs]` and biases, normalization folded in; and paths.

  The paths are of the leaves whose last axis counts the units.
  """
  w = arrays[kernel]
  units = w.shape[-1]
  w = w.reshape(w.size // units, units).T
  beside = f'{kernel.rpartition("/")[0]}/bias'.lstrip('/')
  b = arrays.get(beside, np.zeros(units))
  own = [name for name in (kernel, beside) if name in arrays]
  if norm is None:
    return w, b, own
  found = dict(
    zip(tree.paths(statistics), jax.tree.leaves(statistics), strict=True)
  )
  missing = [p for p in (f'{norm}/mean', f'{norm}/var') if p not in found]
  if missing:
    raise ValueError(f'There is no {missing}; statistics has {list(found)}.')
  mean, var = (np.asarray(found[f'{norm}/{n}'], float) for n in ('mean', 'var'))
  factor = arrays.get(f'{norm}/scale', 1.0) / np.sqrt(var + epsilon)
  own += [p for p in (f'{norm}/scale', f'{norm}/bias') if p in arrays]
  b = (b - mean) * factor + arrays.get(f'{norm}/bias', 0.0)
  return w * factor[:, None], b, own


def _require_range(remove, fraction, units):
  if not 0 <= fraction <= 1:
    raise ValueError(f'fraction is {fraction}; it must lie in 0 .. 1.')
  if remove is not None and fraction != 1:
    raise ValueError('Give remove or fraction, not both.')
  if remove is not None and not 0 <= remove < units:
    raise ValueError(
      f'remove is {remove}; it must lie in 0 .. {units - 1}, for one of the '
      f'{units} neurons must stay.'
    )

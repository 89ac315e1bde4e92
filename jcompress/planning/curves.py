"""Bytes against error for each array, and what its errors cost a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jcompress import tree
from jcompress.planning.choices import Choice, quantized

Metric = Callable[[Any], float]
_PROBE = 0.02  # the squared error, relative, at which prices are taken


class Curve(NamedTuple):
  """What each choice for an array comes to.

  Attributes:
    choices: what was tried.
    sizes: bytes of codes at their entropy, codebooks and scales at their width.
    errors: `|w' - w|^2 / |w|^2`, 0 for an array of zeros.
  """

  choices: tuple[Choice, ...]
  sizes: np.ndarray
  errors: np.ndarray


def curve(w: Any, choices: Sequence[Choice]) -> Curve:
  """Quantizes an array in every way."""
  exact = tree.to_host(w).astype(np.float64)
  energy = np.vdot(exact, exact) or 1.0
  sizes, errors = [], []
  for choice in choices:
    leaf = quantized(choice, w)
    change = tree.to_host(leaf.decode()).astype(np.float64) - exact
    sizes.append(leaf.bits() / 8)
    errors.append(np.vdot(change, change) / energy)
  return Curve(tuple(choices), np.array(sizes), np.array(errors))


def prices(
  params: Any, curves: Mapping[str, Curve], metric: Metric | None
) -> dict[str, float]:
  """What one unit of relative squared error of each array adds to the metric.

  Each array is changed alone, by the choice whose error is nearest to 2 %.
  Errors that change the metric by nothing, or for the better, are not free:
  they cost a thousandth of the dearest. Without a metric it is the share of the
  array in all weights.

  Args:
    params: the original.
    curves: of arrays, by path.
    metric: `params -> error`.
  """
  arrays = dict(zip(tree.paths(params), jax.tree.leaves(params), strict=True))
  if metric is None:
    total = sum(arrays[path].size for path in curves)
    return {path: arrays[path].size / total for path in curves}
  least, found = float(metric(params)), {}
  for path, (choices, _, errors) in curves.items():
    at = int(np.argmin(np.abs(np.log((errors + 1e-12) / _PROBE))))
    if not errors[at]:
      found[path] = 0.0
      continue
    leaf = quantized(choices[at], arrays[path]).decode()
    changed = replaced(params, {path: leaf})
    found[path] = (float(metric(changed)) - least) / errors[at]
  floor = max(found.values(), default=0) / 1000 or 1.0
  return {path: max(price, floor) for path, price in found.items()}


def replaced(params: Any, arrays: Mapping[str, Any]) -> Any:
  """Params with some arrays in the place of those of their paths."""
  swap = lambda path, w: arrays.get(tree.path_string(path), w)
  return jax.tree_util.tree_map_with_path(swap, params)

"""Bytes against error for each array, and what its errors cost a network."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jcompress import tree
from jcompress.planning.choices import Choice, blended, quantized
from jcompress.traced.kronecker import UNKNOWN, Moments

Metric = Callable[[Any], float]
_BETWEEN = 24  # steps for each that is tried
_PROBE = 0.02  # the squared error, relative, at which prices are taken


class Curve(NamedTuple):
  """What each choice for an array comes to.

  Attributes:
    choices: what was tried.
    sizes: bytes of codes at their entropy, codebooks and scales at their width.
    errors: `|w' - w|^2 / |w|^2`, or with moments `tr(G D^T H D) / tr(G w^T H
      w)` with `D = w' - w`; 0 for an array of zeros.
  """

  choices: tuple[Choice, ...]
  sizes: np.ndarray
  errors: np.ndarray


def curve(
  w: Any, choices: Sequence[Choice], moments: Moments = UNKNOWN
) -> Curve:
  """Quantizes an array in every way.

  Rounding with feedback takes long, and is done once: what it gains over
  rounding to nearest is taken for all of its steps.

  Args:
    w: floats.
    choices: to try.
    moments: of its inputs and outputs.
  """
  error = _error_of(w, moments)

  def measured(choice):
    leaf = quantized(choice, w, moments)
    return leaf.bits() / 8, error(leaf)

  pairs = [measured(_quick(choice)) for choice in choices]
  sizes, errors = (np.array(x) for x in zip(*pairs, strict=True))
  slow = np.array([_quick(c) != c for c in choices])
  if slow.any():
    at = _nearest(np.where(slow, errors, np.inf))
    if errors[at]:
      errors[slow] *= measured(choices[at])[1] / errors[at]
  return _denser(Curve(tuple(choices), sizes, errors))


def _denser(curve):
  """With steps between: bytes and the logs of errors are nearly straight."""
  rows = list(zip(*curve, strict=True))
  found = [rows[0]]
  for left, right in itertools.pairwise(rows):
    found += [*_between(left, right), right]
  choices, sizes, errors = zip(*found, strict=True)
  return Curve(choices, np.array(sizes), np.array(errors))


def _between(left, right):
  (a, size, error), (b, next_size, next_error) = left, right
  is_ladder = a.method == b.method and 'step' in a.settings
  if not is_ladder or not error > 0 < next_error:
    return []
  found = []
  for i in range(1, _BETWEEN):
    t = i / _BETWEEN
    straight = lambda x, y, t=t: float((1 - t) * x + t * y)
    logs = lambda x, y, of=straight: float(np.exp(of(np.log(x), np.log(y))))
    step = logs(a.settings['step'], b.settings['step'])
    choice = Choice(a.method, {**a.settings, 'step': step})
    found.append((choice, straight(size, next_size), logs(error, next_error)))
  return found


def _error_of(w, moments):
  """How far a leaf is off, as an array or in what it makes of its inputs.

  A function of an encoded leaf: its squared error, relative to the array.
  """
  exact = tree.to_host(w).astype(np.float64)
  rows = -1 if np.ndim(moments.inputs) < 2 else len(moments.inputs)
  exact = exact.reshape(rows, -1 if rows > 0 else exact.shape[-1])

  def within(x):
    h, g = moments.inputs, blended(moments.outputs)
    y = x if h is None else h @ x if h.ndim > 1 else h[:, None] * x
    return np.vdot(x, y if g is None else y @ g)

  energy = within(exact) or 1.0

  def error(leaf):
    change = tree.to_host(leaf.decode()).reshape(exact.shape) - exact
    return within(change) / energy

  return error


def _quick(choice):
  """Without feedback."""
  if choice.method == 'rows':
    return Choice('rows', {**choice.settings, 'feedback': False})
  if choice.method != 'feedback':
    return choice
  return Choice('steps', {'step': choice.settings['step'], 'strength': 0.0})


def _nearest(errors):
  """Which error is nearest to that at which prices are taken."""
  return int(np.argmin(np.abs(np.log((errors + 1e-12) / _PROBE))))


def prices(
  params: Any,
  curves: Mapping[str, Curve],
  metric: Metric | None,
  moments: Mapping[str, Moments],
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
    moments: of the inputs and outputs of arrays, by path.
  """
  arrays = tree.by_name(params)
  if metric is None:
    total = sum(arrays[path].size for path in curves)
    return {path: arrays[path].size / total for path in curves}
  least, found = float(metric(params)), {}
  for path, (choices, _, errors) in curves.items():
    at = _nearest(errors)
    if not errors[at]:
      found[path] = 0.0
      continue
    w, known = arrays[path], moments.get(path, UNKNOWN)
    leaf = quantized(choices[at], w, known)
    changed = replaced(params, {path: leaf.decode()})
    found[path] = (float(metric(changed)) - least) / _error_of(w, known)(leaf)
  floor = max(found.values(), default=0) / 1000 or 1.0
  return {path: max(price, floor) for path, price in found.items()}


def weight_error(params: Any, shown: Any, shares: Mapping[str, float]) -> float:
  """The root of the mean of `|w' - w|^2 / |w|^2`, each array with its share."""
  before, after = tree.by_name(params), tree.by_name(shown)
  total = 0.0
  for path, share in shares.items():
    a, b = (tree.to_host(t[path]).astype(np.float64) for t in (before, after))
    total += share * ((b - a) ** 2).sum() / ((a**2).sum() or 1.0)
  return float(total**0.5)


def replaced(params: Any, arrays: Mapping[str, Any]) -> Any:
  """Params with some arrays in the place of those of their paths."""
  swap = lambda path, w: arrays.get(tree.path_string(path), w)
  return jax.tree_util.tree_map_with_path(swap, params)

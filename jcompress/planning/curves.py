"""Bytes against error for each array, and what its errors cost a network."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jcompress import tree
from jcompress.encoded import Codebook, Dense, Encoded
from jcompress.planning.choices import (
  Choice,
  blended,
  finest,
  has_feedback,
  quantized,
)
from jcompress.planning.ladder import ladder
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
    probe: the array encoded with about the error at which prices are taken.
    probed: that error.
  """

  choices: tuple[Choice, ...]
  sizes: np.ndarray
  errors: np.ndarray
  probe: Encoded
  probed: float


def curve(
  w: Any,
  choices: Sequence[Choice],
  moments: Moments = UNKNOWN,
  least: float = 0.0,
) -> Curve:
  """Quantizes an array in every way, with feedback in a few, see `ladder`.

  Args:
    w: floats.
    choices: to try.
    moments: of its inputs and outputs.
    least: bytes, of which not much fewer are wanted.
  """
  error = _error_of(w, moments)
  make: type = Dense
  probe: Encoded = make(w)
  probed = 0.0

  def measured(choice):
    nonlocal probe, probed
    leaf = quantized(choice, w, moments)
    found = error(leaf)
    if _off(found) < _off(probed):
      probe, probed = leaf, found
    return choice, leaf.bits() / 8, found

  slow = [c for c in choices if has_feedback(c.method, moments)]
  rows = _denser([measured(c) for c in choices if c not in slow])
  if slow:
    weights = int(np.count_nonzero(tree.to_host(w)))
    fine = finest(slow[0].method, w)
    size = quantized(fine, w, moments).bits() / 8
    known = fine.settings['step'], size
    rows += ladder(slow, measured, weights, known, least)
  found, sizes, errors = zip(*rows, strict=True)
  return Curve(found, np.array(sizes), np.array(errors), probe, probed)


def _denser(rows):
  """With steps between: bytes and the logs of errors are nearly straight."""
  found = rows[:1]
  for left, right in itertools.pairwise(rows):
    found += [*_between(left, right), right]
  return found


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
    return within(_values(leaf).reshape(exact.shape) - exact) / energy

  return error


def _values(leaf):
  """On the host: each number of centers would be a program of its own."""
  if isinstance(leaf, Codebook):
    return tree.to_host(leaf.centers)[tree.to_host(leaf.codes)]
  return tree.to_host(leaf.decode())


def _off(error):
  """How far an error is from that at which prices are taken."""
  return abs(np.log((error + 1e-12) / _PROBE))


def prices(
  params: Any,
  curves: Mapping[str, Curve],
  metric: Metric | None,
) -> dict[str, float]:
  """What one unit of relative squared error of each array adds to the metric.

  Each array is changed alone, by what was encoded with an error near to 2 %.
  Errors that change the metric by nothing, or for the better, are not free:
  they cost a thousandth of the dearest. Without a metric it is the share of the
  array in all weights.

  Args:
    params: the original.
    curves: of arrays, by path.
    metric: `params -> error`.
  """
  arrays = tree.by_name(params)
  if metric is None:
    total = sum(arrays[path].size for path in curves)
    return {path: arrays[path].size / total for path in curves}
  least, found = float(metric(params)), {}
  for path, of in curves.items():
    if not of.probed:
      found[path] = 0.0
      continue
    changed = replaced(params, {path: of.probe.decode()})
    found[path] = (float(metric(changed)) - least) / of.probed
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

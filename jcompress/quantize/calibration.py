"""How far the activations of a model reach, from examples of them."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Num

from jcompress import tree
from jcompress.patterns import matches
from jcompress.quantize.activations import LEAST, ActivationRange
from jcompress.quantize.ranges import require_bits, require_calibration
from jcompress.traced import layers as layers_lib

_DROPPED = 15  # bits of a float32: what is left tells apart 0.4 percent
_SHARES = np.geomspace(1 / 64, 1, 97)


class Seen(NamedTuple):
  """What calibration keeps of the activations that it has seen."""

  counts: np.ndarray  # of magnitudes above zero, by the first bits of a float32
  largest: float
  signed: bool
  shape: tuple[int, ...] | None  # of an activation, without the batch


NOTHING_SEEN = Seen(np.zeros(0, np.int64), 0.0, False, None)


def observe(seen: Seen, x: Any, what: str = 'The activations') -> Seen:
  """Adds a batch to what calibration has seen.

  Raises:
    ValueError: the batch is empty, has NaN or inf, or another shape than the
      ones before; it begins with `what`.
  """
  x = np.asarray(tree.to_host(x), np.float32)
  if not x.size or not np.isfinite(x).all():
    raise ValueError(
      f'{what} have a batch {list(x.shape)} '
      + ('with NaN or inf' if x.size else 'without entries')
      + ': leave it out, or look at the model that produced it.'
    )
  if seen.shape not in (None, x.shape[1:]):
    raise ValueError(
      f'{what} have a batch {list(x.shape)}, and one before had entries of '
      f'shape {list(seen.shape or ())}: all but the first axis must agree.'
    )
  size = np.abs(x).ravel()
  bins = size[size > 0].view(np.uint32) >> _DROPPED
  counts = np.bincount(bins, minlength=1 << (31 - _DROPPED))
  if seen.counts.size:
    counts = counts + seen.counts
  return Seen(
    counts,
    max(seen.largest, float(size.max())),
    seen.signed or bool((x < 0).any()),
    x.shape[1:],
  )


def find_range(
  seen: Seen,
  bits: int = 8,
  *,
  calibration: str = 'absmax',
  percentile: float = 99.99,
) -> ActivationRange:
  """The range of what has been seen; see `calibrate_activations`.

  Raises:
    ValueError: nothing has been seen; an argument out of range.
  """
  require_bits(bits)
  require_calibration(calibration, percentile)
  if seen.shape is None:
    raise ValueError(
      'There are no activations to calibrate on: give at least one batch. An '
      'iterator that was used before is empty.'
    )
  limit = seen.largest
  if calibration == 'percentile':
    above = round(seen.counts.sum() * (1 - percentile / 100))
    kept = np.flatnonzero(np.cumsum(seen.counts[::-1])[::-1] > above)
    if kept.size:
      limit = min(limit, float(_lower_edge(kept[-1] + 1)))
  elif calibration == 'mse':
    limit = _least_error(seen, bits)
  return ActivationRange(limit if limit >= LEAST else 1.0, bits, seen.signed)


def calibrate_activations(
  batches: Iterable[Num[Array | np.ndarray, '...']],
  bits: int = 8,
  *,
  calibration: str = 'absmax',
  percentile: float = 99.99,
) -> ActivationRange:
  """Finds the range of one activation of a model from examples of it.

  Keeps counts of magnitudes, not the batches; they are exact to 0.4 percent,
  the largest to the last bit.

  Args:
    batches: activations; any number, of any first axis.
    bits: of a code, `2 .. 8`.
    calibration: `'absmax'`: the largest magnitude. `'percentile'`: the
      magnitude that this percentage of those above zero does not exceed.
      `'mse'`: the one with the smallest squared error of the values seen.
    percentile: in percent, above 50 and up to 100.

  Returns:
    A range; signed if a value below zero was seen.

  Raises:
    ValueError: no batch, an empty one, NaN or inf, shapes that differ; an
      argument out of range.
  """
  require_bits(bits)
  require_calibration(calibration, percentile)
  seen = NOTHING_SEEN
  for x in batches:
    seen = observe(seen, x)
  return find_range(seen, bits, calibration=calibration, percentile=percentile)


def calibrate_layers(
  apply_fn: Callable[..., Any],
  params: Any,
  batches: Iterable[Any],
  bits: int = 8,
  *,
  pattern: str = '.*',
  calibration: str = 'absmax',
  percentile: float = 99.99,
) -> dict[str, ActivationRange]:
  """Finds the range of the input of each layer from examples.

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: of the model, in floats.
    batches: each the input of the model, or a tuple of its inputs.
    bits: see `calibrate_activations`.
    pattern: regular expression that must match the whole path of a kernel.
    calibration: see `calibrate_activations`.
    percentile: see `calibrate_activations`.

  Returns:
    Ranges by the paths of the kernels; one for all uses of a kernel. Look-ups
    of rows have none.

  Raises:
    ValueError: no batch, or one with NaN, inf or another shape; no layer's
      kernel matches the pattern; an argument out of range.
  """

  @jax.jit
  def inputs_of_layers(params, inputs):
    found: dict[str, list[Any]] = {}

    def call(layer, x, kernel):
      if layer.kind != 'embed' and matches(pattern, layer.path):
        found.setdefault(layer.path, []).append(x)
      return layer(x, kernel)

    layers_lib.evaluate(apply_fn, params, *inputs, call=call)
    return found

  find = lambda seen: find_range(
    seen, bits, calibration=calibration, percentile=percentile
  )
  seen: dict[str, Any] = {}
  batch = None
  for batch in batches:
    inputs = batch if isinstance(batch, tuple) else (batch,)
    for path, parts in inputs_of_layers(params, inputs).items():
      for x in parts:
        before = seen.get(path, NOTHING_SEEN)
        seen[path] = observe(before, x, f'The inputs of {path}')
  if batch is None:
    find(NOTHING_SEEN)  # says that there is nothing to calibrate on
  if not seen:
    raise ValueError(
      f'Pattern {pattern!r} matches no kernel of a layer of the model; its '
      f'leaves are: {", ".join(tree.paths(params))}.'
    )
  return {path: find(s) for path, s in seen.items()}


def _lower_edge(bins):
  return np.asarray(bins << _DROPPED, np.uint32).view(np.float32)


def _least_error(seen, bits):
  found = np.flatnonzero(seen.counts)
  values = (_lower_edge(found) + _lower_edge(found + 1)) / 2
  best, limit = np.inf, seen.largest
  for share in _SHARES[::-1]:
    grid = ActivationRange(share * seen.largest, bits, seen.signed)
    scale = grid.limit / grid.steps if grid.limit else 1.0
    rounded = scale * np.clip(np.rint(values / scale), 0, grid.steps)
    error = np.sum(seen.counts[found] * (rounded - values) ** 2)
    if error < best:
      best, limit = error, float(grid.limit)
  return limit

"""The writer's choice of a model of neighbours, by what it really costs.

The ways through the array and the distances that are worth a walk are chosen by
the loss of fits to few entries, the rest by walking the array, or its first
rows where it is large.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Integer, UInt32

from jcompress.code import adaptive_fit, adaptive_model
from jcompress.code.adaptive_model import Model

_FEW, _SAMPLE, _PART, _SMALL = 1 << 13, 1 << 15, 1 << 18, 1 << 16
_SOME = 800  # entries of few that are not zero, at least
_HEAD, _NEAR = 80, 0.03  # bits of a model; bits an entry between fits of few
_PEAKS, _CLEAR, _MATTERS, _WORTH = 3, 6.0, 0.02, 1e-3
_COSTS = 12 - np.log2(np.maximum(np.arange(4097), 1))


class _Tried(NamedTuple):
  bits: float
  model: Model
  part: np.ndarray
  events: np.ndarray


def best(
  symbols: Integer[np.ndarray, '*shape'],
  zero: int,
  counts: Integer[np.ndarray, ' k'],
) -> tuple[Model, Int16[np.ndarray, 'rows columns'], UInt32[np.ndarray, ' n']]:
  """The model under which symbols are shortest, of those that are tried.

  Args:
    symbols: with more than one value.
    zero: the symbol that stands for 0.
    counts: of each symbol from 0 to the highest.

  Returns:
    The model, the symbols as they are walked, and the events of the walk.
  """
  highest = len(counts) - 1
  caps = (8, 1) if symbols.size <= _SMALL else (8,)
  caps = caps if max(zero, highest - zero) > 1 else (1,)
  shifts = (9, 10, 11) if symbols.size <= _SMALL else (9, 10)
  ways = {
    way: adaptive_model.matrix(symbols, way)
    for way in adaptive_model.ways(symbols.shape)
  }
  flat = Model(
    *(0, zero, highest, 1, 0, caps[0], 9),
    *(adaptive_fit.unit_of(counts, zero, caps[0]), np.zeros(7, int)),
  )
  first = next(iter(ways))
  found = [_tried(ways[first], flat._replace(way=first))]
  sizes = max(1, symbols.size - int(counts[zero]))
  few = min(_SAMPLE, max(_FEW, _SOME * symbols.size // sizes))
  for model in _candidates(ways, flat, few):
    found.append(_tried(ways[model.way], model))
  least = min(found, key=lambda x: x.bits)
  fitted = [x for x in found if x.model.weights.any()]
  if fitted:
    model = min(fitted, key=lambda x: x.bits).model
    walked = ways[model.way]
    others = [model]
    if len(caps) > 1:
      unit = adaptive_fit.unit_of(counts, zero, 1)
      small = model._replace(cap=1, unit=unit, weights=0 * model.weights)
      small, _ = _fitted(walked, small, _SAMPLE)
      others += [small] if small else []
    for other in others:
      for shift in shifts:
        if (shift, other.cap) != (model.shift, model.cap):
          shifted = _tried(walked, _shifted(other, shift))
          least = min(least, shifted, key=lambda x: x.bits)
  walked = ways[least.model.way]
  if len(least.part) == len(walked):
    return least.model, walked, least.events
  return least.model, walked, adaptive_model.events(walked, least.model)


def _candidates(ways, flat, few):
  """Fits without and with distances that are worth about the most."""
  found = []
  for way, walked in ways.items():
    without, gain = _fitted(walked, flat._replace(way=way), few)
    if without is None:
      continue
    others = [
      _fitted(walked, without._replace(near=near, far=far), few)
      for near, far in distances(walked, flat.zero, flat.cap)
    ]
    further, more = max(others, key=lambda x: x[1], default=(None, 0.0))
    found.append((gain, without))
    if further and more > gain + _WORTH:
      found.append((more, further))
  most = max((gain for gain, _ in found), default=0.0)
  for gain, model in found:
    walked = ways[model.way]
    if gain * walked.size > _HEAD and gain > most - _NEAR:
      fitted, _ = _fitted(walked, model, _SAMPLE)
      if fitted:
        yield fitted


def _fitted(walked, model, most):
  """The model with fitted weights, or `None`; bits an entry it is worth."""
  sample = adaptive_fit.sample(
    *(walked, model.zero, model.near, model.far, model.cap, model.unit), most
  )
  start, half = None, 1 << model.shift - 1
  if model.weights.any():
    start = model.weights.copy()
    start[0] -= half
  weights, gain = adaptive_fit.fit(sample, start)
  if weights is None:
    return None, 0.0
  weights[0] += half
  return model._replace(weights=weights), gain


def _tried(walked, model):
  part = walked[: max(1, _PART // walked.shape[1])]
  events = adaptive_model.events(part, model)
  return _Tried(cost(model, events), model, part, events)


def _shifted(model, shift):
  weights = model.weights.copy()
  weights[0] += (1 << shift - 1) - (1 << model.shift - 1)
  return model._replace(shift=shift, weights=weights)


def cost(model: Model, events: UInt32[np.ndarray, ' n']) -> float:
  """Bits of the record with these events."""
  slots = np.bincount(events >> 16, minlength=len(_COSTS))
  return 8 * len(adaptive_model.head(model)) + float(slots @ _COSTS)


def distances(
  walked: Int16[np.ndarray, 'rows columns'], zero: int, cap: int
) -> list[tuple[int, int]]:
  """Pairs of distances along the rows at which codes resemble each other.

  Peaks of the autocorrelation of sizes, less what rows and columns explain, and
  of codes with their signs, over all pairs: of a period and its multiples the
  period is highest. The nearer distance is 1, or a peak higher than it:
  the number of channels, where they stand side by side.
  """
  rows, columns = walked.shape
  if columns < 8 or rows * columns < 256:
    return []
  every = max(1, rows * columns // _SMALL)
  v = np.clip(walked[::every].astype(np.float32) - zero, -cap, cap)
  m = np.abs(v)
  m -= np.outer(m.mean(1), m.mean(0)) / max(float(m.mean()), 1e-9)
  total = np.zeros(columns)
  for x in (v - v.mean(0), m):
    spectrum = np.abs(np.fft.rfft(x, 2 * columns, axis=1)) ** 2
    r = np.fft.irfft(spectrum.sum(0))[:columns]
    total += np.maximum(r / max(float(r[0]), 1e-9), 0)
  lags = np.arange(2, max(2, columns // 2))
  clear = max(_CLEAR / v.size**0.5, _MATTERS)
  t = total[lags]
  is_peak = (t > total[lags - 1]) & (t >= total[lags + 1]) & (t > clear)
  lags = lags[is_peak]
  lags = lags[np.argsort(-total[lags])][:_PEAKS].tolist()
  pairs = [(1, far) for far in lags]
  for near in lags:
    if total[near] > total[1]:
      pairs += [(near, far) for far in lags if far > near]
  return pairs

"""The writer's choice of a model of neighbours, by what it really costs.

The way through the array and the distances are chosen by the loss of a fit, the
rest by walking the array, or its first rows where it is large.
"""

import numpy as np
from jaxtyping import Int16, Integer

from jcompress.code import adaptive_fit, adaptive_model
from jcompress.code.adaptive_model import Model

_SAMPLE, _PART, _SMALL = 1 << 15, 1 << 18, 1 << 16
_PEAKS, _CLEAR, _MATTERS, _WORTH = 3, 6.0, 0.02, 1e-3
_COSTS = 12 - np.log2(np.maximum(np.arange(4097), 1))


def best(
  symbols: Integer[np.ndarray, '*shape'],
  zero: int,
  counts: Integer[np.ndarray, ' k'],
) -> tuple[Model, Int16[np.ndarray, 'rows columns']]:
  """The model under which symbols are shortest, of those that are tried.

  Args:
    symbols: with more than one value.
    zero: the symbol that stands for 0.
    counts: of each symbol from 0 to the highest.

  Returns:
    The model, and the symbols as they are walked.
  """
  highest = len(counts) - 1
  caps = (8, 1) if symbols.size <= _SMALL else (8,)
  caps = caps if max(zero, highest - zero) > 1 else (1,)
  shifts = (9, 10, 11) if symbols.size <= _SMALL else (9, 10)
  found: list[tuple[float, Model]] = []
  for way in adaptive_model.ways(symbols.shape):
    walked = adaptive_model.matrix(symbols, way)
    part = walked[: max(1, _PART // walked.shape[1])]
    unit = adaptive_fit.unit_of(counts, zero, caps[0])
    flat = Model(
      *(way, zero, highest, 1, 0, caps[0], 9, unit), np.zeros(7, int)
    )
    for model in (flat, *_candidates(walked, flat)):
      if model.weights.any() or not found:
        found.append((cost(part, model), model))
  least = min(found, key=lambda x: x[0])
  fitted = [x for x in found if x[1].weights.any()]
  _, model = min(fitted or [least], key=lambda x: x[0])
  walked = adaptive_model.matrix(symbols, model.way)
  part = walked[: max(1, _PART // walked.shape[1])]
  others = [model] if fitted else []
  if fitted and len(caps) > 1:
    unit = adaptive_fit.unit_of(counts, zero, 1)
    small, _ = _fitted(walked, model._replace(cap=1, unit=unit))
    others += [small] if small else []
  for other in others:
    for shift in shifts:
      if (shift, other.cap) != (model.shift, model.cap):
        shifted = _shifted(other, shift)
        least = min(least, (cost(part, shifted), shifted), key=lambda x: x[0])
  return least[1], adaptive_model.matrix(symbols, least[1].way)


def _candidates(walked, flat):
  """Fits without and with the best distances, if any."""
  model, gain = _fitted(walked, flat)
  if model is None:
    return
  yield model
  found = [
    _fitted(walked, flat._replace(near=near, far=far))
    for near, far in distances(walked, flat.zero, flat.cap)
  ]
  further, more = max(found, key=lambda x: x[1], default=(None, 0.0))
  if further and more > gain + _WORTH:
    yield further


def _fitted(walked, model):
  """The model with fitted weights, or `None`; bits an entry it is worth."""
  sample = adaptive_fit.sample(
    *(walked, model.zero, model.near, model.far, model.cap, model.unit),
    _SAMPLE,
  )
  weights, gain = adaptive_fit.fit(sample)
  if weights is None:
    return None, 0.0
  weights[0] += 1 << model.shift - 1
  return model._replace(weights=weights), gain


def _shifted(model, shift):
  weights = model.weights.copy()
  weights[0] += (1 << shift - 1) - (1 << model.shift - 1)
  return model._replace(shift=shift, weights=weights)


def cost(walked: Int16[np.ndarray, 'rows columns'], model: Model) -> float:
  """Bits of the record."""
  events = adaptive_model.events(walked, model)
  return 8 * len(adaptive_model.head(model)) + float(_COSTS[events >> 16].sum())


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

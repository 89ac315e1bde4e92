"""The writer's choice of a model of neighbours, by what it really costs.

The ways through the array and the distances that are worth a walk are chosen by
the loss of fits to few entries, the rest by walking the array.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Integer, UInt32

from jcompress.code import (
  adaptive_fit,
  adaptive_model,
  adaptive_sample,
  adaptive_words,
)
from jcompress.code.adaptive_model import Model

_SMALL, _MIDDLE = 1 << 16, 1 << 18
_FEW = 2500, 1000  # zeros and others of a small sample
_ENTRIES, _KEPT, _ZEROS = 8000, 4000, 2  # of a larger one
_FINE = 1 << 14  # entries that are not zero are worth fine classes
_HEAD = 80  # bits of a model
_NEAR, _SURE = 0.12, 0.01  # bits between fits to few, to many
_LOOK = 1 << 15  # entries whose distances are looked at
_PEAKS, _CLEAR, _MATTERS, _WORTH = 3, 6.0, 0.02, 5e-3
_CLEARLY = 0.997  # of the entropy: there one class is not better
_COSTS = (12 - np.log2(np.maximum(np.arange(4097), 1))).astype(np.float32)


class _Tried(NamedTuple):
  bits: float
  model: Model
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
  size, kept = symbols.size, symbols.size - int(counts[zero])
  ways = {
    way: adaptive_model.matrix(symbols, way)
    for way in adaptive_model.ways(symbols.shape)
  }
  cap = 8 if max(zero, len(counts) - 1 - zero) > 1 else 1
  flat = Model(
    *(next(iter(ways)), zero, len(counts) - 1, 1, 0, cap),
    *(9 if kept >= _FINE else 10, adaptive_fit.unit_of(counts, zero, cap)),
    np.zeros(7, int),
  )
  tried = lambda model: _tried(ways[model.way], model)
  fitted = list(_candidates(ways, flat, kept))
  if size > _SMALL:
    fitted = _surest(fitted)
  found = [tried(model) for _, model in fitted]
  if found and size <= _SMALL:
    model = min(found, key=lambda x: x.bits).model
    walked = ways[model.way]
    if cap > 1:
      unit = adaptive_fit.unit_of(counts, zero, 1)
      small = model._replace(cap=1, unit=unit, weights=flat.weights)
      small, _ = _fitted(
        _aimed(_sample(walked, small, kept), walked, small), small
      )
      found += [tried(small)] if small else []
      model = min(found, key=lambda x: x.bits).model
    found.append(tried(_shifted(model, model.shift + 1)))
  least = min(found, key=lambda x: x.bits, default=None)
  if least is None or least.bits > _CLEARLY * _entropy(counts):
    least = min([*found, tried(flat)], key=lambda x: x.bits)
  return least.model, ways[least.model.way], least.events


def _surest(fitted):
  """Of each way one, and of the ways those that may be the best."""
  of_way = {}
  for gain, model in fitted:  # without distances first
    if gain > of_way.get(model.way, (0.0,))[0] + _WORTH:
      of_way[model.way] = gain, model
  most = max((gain for gain, _ in of_way.values()), default=0.0)
  return [x for x in of_way.values() if x[0] > most - _SURE]


def _candidates(ways, flat, kept):
  """Fits without and with distances that are worth about the most.

  Each with what it is worth.
  """
  found, samples = [], {}
  for way, walked in ways.items():
    samples[way] = sample = _sample(walked, flat, kept)
    few = _few(sample, walked.shape[1])
    without, gain = _fitted(few, flat._replace(way=way))
    if without is None:
      continue
    found.append((gain, without))
    others = []
    for near, far in distances(walked, flat.zero, flat.cap):
      model = without._replace(near=near, far=far)
      others.append(_fitted(_aimed(few, walked, model), model))
    further, more = max(others, key=lambda x: x[1], default=(None, 0.0))
    if further and more > gain + _WORTH:
      found.append((more, further))
  most = max((gain for gain, _ in found), default=0.0)
  for gain, model in found:
    if gain * kept > _HEAD and gain > most - _NEAR:
      sample = _aimed(samples[model.way], ways[model.way], model)
      fitted, gain = _fitted(sample, model)
      if fitted:
        yield gain, fitted


def _sample(walked, model, kept):
  """Of both zeros and others some; of all rows, unless they are many."""
  every = max(1, walked.size // _MIDDLE)
  take = max(_KEPT, _ENTRIES * kept // walked.size)
  take *= 1 + (walked.size > _MIDDLE)
  others = max(1, kept // every // take)
  zeros = (walked.size - kept) // every // max(_ENTRIES, _ZEROS * take)
  return adaptive_sample.sample(
    *(walked, model.zero, model.cap, model.unit, every),
    (max(zeros, others), others),
  )


def _few(sample, columns):
  kept = int(np.count_nonzero(sample.sizes))
  zeros = (len(sample.sizes) - kept) // _FEW[0]
  others = max(1, kept // _FEW[1])
  while math.gcd(others, columns) > 1:
    others += 1
  return adaptive_sample.part(sample, max(1, zeros), others)


def _aimed(sample, walked, model):
  if model.far or model.near > 1:
    return adaptive_sample.aimed(
      sample, walked, model.zero, model.near, model.far
    )
  return sample


def _fitted(sample, model):
  """The model with fitted weights, or `None`; what it is worth, see `fit`."""
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
  events = adaptive_model.events(walked, model)
  return _Tried(cost(model, events), model, events)


def _entropy(counts):
  """Bits of all symbols with these counts."""
  counts = counts[counts > 0].astype(np.float64)
  return float(counts @ np.log2(counts.sum() / counts))


def _shifted(model, shift):
  weights = model.weights.copy()
  weights[0] += (1 << shift - 1) - (1 << model.shift - 1)
  return model._replace(shift=shift, weights=weights)


def cost(model: Model, events: UInt32[np.ndarray, ' n']) -> float:
  """Bits of the record with these events."""
  head = 8 * len(adaptive_model.head(model))
  return head + adaptive_words.bits(events, _COSTS)


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
  every = max(1, rows * columns // _LOOK)
  v = np.clip(walked[::every].astype(np.float32) - zero, -cap, cap)
  m = np.abs(v)
  m -= np.outer(m.mean(1), m.mean(0)) / max(float(m.mean()), 1e-9)
  total = np.zeros(columns)
  length = columns + columns // 2 + 1  # of lags up to half of the columns
  length += -length % (1 << max(0, length.bit_length() - 4))
  for x in (v - v.mean(0), m):
    spectrum = np.fft.rfft(x, length, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    r = np.fft.irfft(power.sum(0), length)[:columns]
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

"""The weights of the model of neighbours, fitted by the writer.

Only the writer works with floats: what it finds travels as integers.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int16, Int64, Integer

from jcompress.code.adaptive_loops import CLASSES, lg
from jcompress.code.adaptive_tables import logarithms
from jcompress.code.compiled import compiled

_UNITS = 64 / np.log(2)  # of a feature in one natural logarithm
_STEPS, _CLOSE, _RIDGE, _MOST = 12, 0.05, 1.0, 3.9  # a step leaves its square
_FEW, _EVERY = 50, 8


class Sample(NamedTuple):
  """Entries of a matrix and what the model sees before each.

  Attributes:
    sizes: `[n]`, up to `cap`.
    features: `[7, n]`, the first 1, the others `64 log2` of something.
    signs: `[n]`, 0 negative, 1 zero, 2 positive.
    pairs: `[n]`, 0 to 8, of the signs at the two distances.
    unit: 16 times the mean size.
    cap: of sizes.
  """

  sizes: Float64[np.ndarray, ' n']
  features: Float64[np.ndarray, '7 n']
  signs: Int64[np.ndarray, ' n']
  pairs: Int64[np.ndarray, ' n']
  unit: int
  cap: int


@compiled
def _collect(symbols, zero, near, far, cap, unit, every, lgs, sizes, x, signs):
  rows, columns = symbols.shape
  column = np.zeros(columns, np.int64)
  at = 0
  for i in range(rows):
    row = 0
    if i % every:
      for j in range(columns):
        column[j] += min(abs(np.int64(symbols[i, j]) - zero), cap)
      continue
    for j in range(columns):
      v = np.int64(symbols[i, j]) - zero
      m = min(abs(v), cap)
      x[0, at] = 1.0
      x[1, at] = lg(16 * column[j] + 6 * unit, lgs) - lg((i + 6) * unit, lgs)
      x[2, at] = lg(16 * row + 6 * unit, lgs) - lg((j + 6) * unit, lgs)
      pair = 0
      for k in range(4):
        d = (near, 2 * near, far, far - near)[k]
        u = np.int64(symbols[i, j - d]) - zero if 0 < d <= j else 0
        x[3 + k, at] = lg(16 * min(abs(u), cap) + unit, lgs)
        if k == 0:
          pair += 3 * (1 + (u > 0) - (u < 0))
        if k == 2:
          pair += 1 + (u > 0) - (u < 0)
      sizes[at] = m
      signs[at, 0] = 1 + (v > 0) - (v < 0)
      signs[at, 1] = pair
      at += 1
      row += m
      column[j] += m


def sample(
  symbols: Int16[np.ndarray, 'rows columns'],
  zero: int,
  near: int,
  far: int,
  cap: int,
  unit: int,
  most: int,
) -> Sample:
  """What the model sees, of one row in so many.

  Args:
    symbols: of the stream.
    zero: the symbol that stands for 0.
    near: distance.
    far: distance, or 0.
    cap: of sizes.
    unit: 16 times the mean size.
    most: about how many entries.
  """
  rows, columns = symbols.shape
  every = max(1, round(rows * columns / most))
  n = -(-rows // every) * columns
  sizes, x = np.zeros(n), np.zeros((7, n))
  signs = np.zeros((n, 2), np.int64)
  _collect(
    *(symbols, zero, near, far, cap, unit, every, logarithms()),
    *(sizes, x, signs),
  )
  if not far:
    x[5:] = 0
  return Sample(sizes, x, signs[:, 0], signs[:, 1], unit, cap)


def classes(
  symbols: Int16[np.ndarray, 'rows columns'], model: Any
) -> Int64[np.ndarray, 'rows columns']:
  """The class of each entry under an `adaptive_model.Model`."""
  s = sample(
    *(symbols, model.zero, model.near, model.far, model.cap, model.unit),
    symbols.size,
  )
  sums = np.rint(model.weights @ s.features).astype(np.int64)
  found = (sums >> model.shift) + CLASSES // 2
  if not model.weights.any():
    found[:] = CLASSES // 2
  return np.clip(found, 0, CLASSES - 1).reshape(symbols.shape)


def unit_of(counts: Integer[np.ndarray, ' k'], zero: int, cap: int) -> int:
  """16 times the mean size of symbols with these counts, rounded, from 1."""
  sizes = np.minimum(np.abs(np.arange(len(counts)) - zero), cap)
  return max(1, round(16 * int(counts @ sizes) / int(counts.sum())))


def fit(
  s: Sample, start: Integer[np.ndarray, ' 7'] | None = None
) -> tuple[Integer[np.ndarray, ' 7'] | None, float]:
  """Weights in 1 / 32, and what they are worth.

  Poisson regression of the sizes, logistic where `cap` is 1, by Newton's steps.

  Args:
    s: what the model sees.
    start: weights that are near, if some are known.

  Returns:
    The weights, `None` where there is too little to fit or the fit diverges;
    bits an entry that the model saves, about.
  """
  x, y, logistic = s.features / _UNITS, s.sizes, s.cap == 1
  x[0] = 1
  if np.count_nonzero(y) < _FEW:
    return None, 0.0
  mean = s.unit / 16
  base = np.log(mean / max(1 - mean, 1e-3) if logistic else mean)
  if start is None:
    few = np.ascontiguousarray(x[:, ::_EVERY])  # brings it near, cheaply
    w = _newton(np.zeros(7), few, y[::_EVERY], base, logistic)
  else:
    w = start / 32
    w[0] /= _UNITS
  w = _newton(w, x, y, base, logistic)
  if not np.isfinite(w).all() or np.abs(w[1:]).max() > _MOST:
    return None, 0.0
  exact, rounded = 32 * w, np.round(32 * w)
  moved = (exact - rounded)[1:] @ s.features[1:].mean(1)
  rounded[0] = np.round(exact[0] * _UNITS + moved)
  if abs(rounded[0]) >= 1 << 22:
    return None, 0.0
  share = min(y.mean(), 1 - 1e-3) if logistic else y.mean()
  least = np.log(share / (1 - share) if logistic else share)
  saved = _loss(np.full(1, least), y.mean(), logistic)
  saved -= _loss(base + w @ x, y, logistic)
  pairs = np.bincount(3 * s.pairs + s.signs, minlength=27).reshape(9, 3)
  bits = _sign_bits(pairs.sum(0, keepdims=True)) - _sign_bits(pairs)
  return rounded.astype(np.int64), saved / np.log(2) + bits / len(y)


def _newton(w, x, y, base, logistic):
  for _ in range(_STEPS):
    mu, curve = _means(base + w @ x, logistic)
    slope = x @ (y - mu) - _RIDGE * w
    step = np.linalg.solve((x * curve) @ x.T + _RIDGE * np.eye(7), slope)
    w = w + np.clip(step, -2, 2)
    if np.abs(step).max() < _CLOSE:
      break
  return w


def _loss(eta, y, logistic):
  """Mean of minus the logarithm of the likelihood, but for a constant."""
  eta = np.clip(eta, -20, 20)
  each = np.logaddexp(0, eta) if logistic else np.exp(eta)
  return float((each - y * eta).mean())


def _means(eta, logistic):
  eta = np.clip(eta, -20, 20)
  mu = 1 / (1 + np.exp(-eta)) if logistic else np.exp(eta)
  return mu, mu * (1 - mu) if logistic else mu


def _sign_bits(pairs):
  """Bits of signs of which so many are 0, 1, 2 under each pair before them."""
  k = pairs[:, 0] + 0.5
  n = pairs[:, 0] + pairs[:, 2] + 1.0
  return -(k * np.log2(k / n) + (n - k) * np.log2(1 - k / n)).sum()

"""The weights of the model of neighbours, fitted by the writer.

Only the writer works with floats: what it finds travels as integers.
"""

import numpy as np
from jaxtyping import Integer

from jcompress.code.adaptive_sample import Sample

_UNITS = 64 / np.log(2)  # of a feature in one natural logarithm
_STEPS, _CLOSE, _RIDGE, _MOST = 12, 0.05, 1.0, 3.9  # a step leaves its square
_FEW, _EVERY = 50, 8


def unit_of(counts: Integer[np.ndarray, ' k'], zero: int, cap: int) -> int:
  """16 times the mean size of symbols with these counts, rounded, from 1."""
  sizes = np.minimum(np.abs(np.arange(len(counts)) - zero), cap)
  return max(1, round(16 * int(counts @ sizes) / int(counts.sum())))


def fit(
  s: Sample,
  start: Integer[np.ndarray, ' 7'] | None = None,
) -> tuple[Integer[np.ndarray, ' 7'] | None, float]:
  """Weights in 1 / 32, and what they are worth.

  Poisson regression of the sizes, logistic where `cap` is 1, by Newton's steps.

  Args:
    s: what the model sees.
    start: weights that are near, if some are known.

  Returns:
    The weights, `None` where there is too little to fit or the fit diverges;
    bits that the model saves for an entry that is not zero, about.
  """
  y, logistic = s.sizes, s.cap == 1
  if np.count_nonzero(y) < _FEW:
    return None, 0.0
  x = s.features * np.float32(1 / _UNITS)
  x[0] = 1
  share = np.where(y, np.float32(1), np.float32(s.share))
  total = float(share.sum(dtype=np.float64))
  mean = s.unit / 16
  base = np.log(mean / max(1 - mean, 1e-3) if logistic else mean)
  if start is None:
    few = np.ascontiguousarray(x[:, ::_EVERY])  # brings it near, cheaply
    y_few, share_few = y[::_EVERY], share[::_EVERY]
    w, _ = _newton(np.zeros(7), few, y_few, share_few, base, logistic)
  else:
    w = start / 32
    w[0] /= _UNITS
  w, loss = _newton(w, x, y, share, base, logistic)
  if not np.isfinite(w).all() or np.abs(w[1:]).max() > _MOST:
    return None, 0.0
  exact, rounded = 32 * w, np.round(32 * w)
  means = s.features[1:] @ share / total
  rounded[0] = np.round(exact[0] * _UNITS + (exact - rounded)[1:] @ means)
  if abs(rounded[0]) >= 1 << 22:
    return None, 0.0
  mean = float(y.sum()) / total
  mean = min(mean, 1 - 1e-3) if logistic else mean
  least = np.log(mean / (1 - mean) if logistic else mean)
  saved = np.log1p(np.exp(least)) if logistic else mean
  saved = total * (saved - mean * least) - loss
  pairs = np.bincount(3 * s.pairs + s.signs, minlength=27).reshape(9, 3)
  bits = _sign_bits(pairs.sum(0, keepdims=True)) - _sign_bits(pairs)
  saved = (saved / np.log(2) + bits) / np.count_nonzero(y)
  return rounded.astype(np.int64), float(saved)


def _newton(w, x, y, share, base, logistic):
  """Weights, and minus the logarithm of the likelihood, but for a constant.

  A step that leads up is halved.
  """
  at, least, step = w, np.inf, np.zeros(7)
  for _ in range(_STEPS):
    eta = np.clip(np.float32(base) + w.astype(np.float32) @ x, -20, 20)
    mu = np.exp(eta)
    each = share @ (np.log1p(mu) if logistic else mu)
    loss = float(each) - float(y @ eta)
    if loss + _RIDGE * (w @ w) / 2 > least:
      step /= 2
      w = at + step
      continue
    at, least = w, loss + _RIDGE * (w @ w) / 2
    if logistic:
      mu /= 1 + mu
    curve = mu * share
    slope = x @ (y - curve) - _RIDGE * w
    if logistic:
      curve *= 1 - mu
    square = (x * curve) @ x.T + _RIDGE * np.eye(7)
    step = np.clip(np.linalg.solve(square, slope), -2, 2)
    w = w + step
    loss -= float(step @ slope) / 2
    if np.abs(step).max() < _CLOSE:
      break
  return w, loss


def _sign_bits(pairs):
  """Bits of signs of which so many are 0, 1, 2 under each pair before them."""
  k = pairs[:, 0] + 0.5
  n = pairs[:, 0] + pairs[:, 2] + 1.0
  return -(k * np.log2(k / n) + (n - k) * np.log2(1 - k / n)).sum()

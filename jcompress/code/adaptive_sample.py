"""Entries of a matrix and what the model of neighbours sees before each.

Of the zeros of a pruned array, which tell little, only some are taken, and each
stands for several.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int8, Int16, Int64

from jcompress.code.adaptive_loops import CLASSES, lg
from jcompress.code.adaptive_tables import logarithms
from jcompress.code.compiled import compiled

_SPARE = 1 << 12  # entries: what is drawn may be more than is expected


class Sample(NamedTuple):
  """Entries of a matrix and what the model sees before each.

  Attributes:
    at: `[n]`, places in the matrix, row by row.
    sizes: `[n]`, up to `cap`.
    features: `[7, n]`, the first 1, the others `64 log2` of something.
    signs: `[n]`, 0 negative, 1 zero, 2 positive.
    pairs: `[n]`, 0 to 8, of the signs at the two distances.
    share: for how many zeros one stands, where another stands for itself.
    unit: 16 times the mean size.
    cap: of sizes.
  """

  at: Int64[np.ndarray, ' n']
  sizes: Float32[np.ndarray, ' n']
  features: Float32[np.ndarray, '7 n']
  signs: Int8[np.ndarray, ' n']
  pairs: Int8[np.ndarray, ' n']
  share: float
  unit: int
  cap: int


@compiled
def _collect(symbols, zero, cap, unit, every, thin, lgs, at, sizes, x, signs):
  """Fills in all but what stands at distances.

  Gives how many entries are taken, and of how many zeros and others.
  """
  rows, columns = symbols.shape
  column = np.zeros(columns, np.int64)
  n, zeros, others, random = 0, 0, 0, 1
  thin_zeros, thin_others = thin
  wait_zeros, wait_others = thin_zeros // 2, thin_others // 2
  chosen = every // 2
  for i in range(rows):
    if i and i % every == 0:
      random = (random * 1103515245 + 12345) & 0x7FFFFFFF
      chosen = i + ((random >> 16) * every >> 15)
    if i != chosen:
      for j in range(columns):
        column[j] += min(abs(np.int64(symbols[i, j]) - zero), cap)
      continue
    row = 0
    above = lg((i + 6) * unit, lgs)
    for j in range(columns):
      v = np.int64(symbols[i, j]) - zero
      m = min(abs(v), cap)
      if v == 0:
        zeros += 1
        wait_zeros -= 1
        if wait_zeros >= 0 or n == len(at):
          continue
        random = (random * 1103515245 + 12345) & 0x7FFFFFFF
        wait_zeros = (random >> 16) * (2 * thin_zeros - 1) >> 15
      else:
        others += 1
        wait_others -= 1
        if wait_others >= 0 or n == len(at):
          row += m
          column[j] += m
          continue
        random = (random * 1103515245 + 12345) & 0x7FFFFFFF
        wait_others = (random >> 16) * (2 * thin_others - 1) >> 15
      at[n] = i * columns + j
      sizes[n] = m
      signs[n] = 1 + (v > 0) - (v < 0)
      x[0, n] = 1.0
      x[1, n] = lg(16 * column[j] + 6 * unit, lgs) - above
      x[2, n] = lg(16 * row + 6 * unit, lgs) - lg((j + 6) * unit, lgs)
      n += 1
      row += m
      column[j] += m
  return n, zeros, others


@compiled
def _look(symbols, zero, cap, unit, near, far, lgs, at, x, pairs):
  """Fills in what stands at the distances."""
  columns = symbols.shape[1]
  distances = near, 2 * near, far, far - near
  for n in range(len(at)):
    i, j = at[n] // columns, at[n] % columns
    pair = 4
    for k in range(4):
      d = distances[k]
      if 0 < d <= j:
        u = np.int64(symbols[i, j - d]) - zero
        x[3 + k, n] = lg(16 * min(abs(u), cap) + unit, lgs)
        if k % 2 == 0:
          pair += ((u > 0) - (u < 0)) * (3 - k)
      else:
        x[3 + k, n] = lg(unit, lgs) if far or k < 2 else 0
    pairs[n] = pair


def sample(
  symbols: Int16[np.ndarray, 'rows columns'],
  zero: int,
  cap: int,
  unit: int,
  every: int = 1,
  thin: tuple[int, int] = (1, 1),
) -> Sample:
  """What the model sees at the nearer distance 1, with no further one.

  Args:
    symbols: of the stream.
    zero: the symbol that stands for 0.
    cap: of sizes.
    unit: 16 times the mean size.
    every: of so many rows one, which is drawn: rows repeat themselves.
    thin: of so many zeros, and of so many others, one, about.
  """
  rows, columns = symbols.shape
  zeros = symbols.size - np.count_nonzero(symbols - zero)
  most = zeros // thin[0] + (symbols.size - zeros) // thin[1]
  most = min(-(-rows // every) * columns, 2 * most // every + _SPARE)
  at, sizes = np.empty(most, np.int64), np.empty(most, np.float32)
  x, signs = np.empty((7, most), np.float32), np.empty(most, np.int8)
  n, zeros, others = _collect(
    *(symbols, zero, cap, unit, every, thin, logarithms()),
    *(at, sizes, x, signs),
  )
  sizes = sizes[:n]
  kept = int(np.count_nonzero(sizes))
  share = zeros / max(1, n - kept) * kept / max(1, others)
  found = Sample(
    *(at[:n], sizes, x[:, :n], signs[:n], np.empty(n, np.int8)),
    *(share, unit, cap),
  )
  return _filled(found, symbols, zero, 1, 0)


def part(s: Sample, zeros: int, others: int) -> Sample:
  """Of so many zeros, and of so many others, one."""
  empty, kept = np.flatnonzero(s.sizes == 0), np.flatnonzero(s.sizes)
  few, some = empty[::zeros], kept[::others]
  take = np.concatenate([few, some])
  share = len(empty) / max(1, len(few)) * len(some) / max(1, len(kept))
  return s._replace(
    at=s.at[take],
    sizes=s.sizes[take],
    features=s.features[:, take],
    signs=s.signs[take],
    pairs=s.pairs[take],
    share=float(s.share * share),
  )


def aimed(
  s: Sample,
  symbols: Int16[np.ndarray, 'rows columns'],
  zero: int,
  near: int,
  far: int,
) -> Sample:
  """The same entries with what stands at other distances; `far` may be 0."""
  other = s._replace(features=s.features.copy(), pairs=s.pairs.copy())
  return _filled(other, symbols, zero, near, far)


def _filled(s, symbols, zero, near, far):
  _look(
    *(symbols, zero, s.cap, s.unit, near, far, logarithms()),
    *(s.at, s.features, s.pairs),
  )
  return s


def classes(
  symbols: Int16[np.ndarray, 'rows columns'], model: Any
) -> Int64[np.ndarray, 'rows columns']:
  """The class of each entry under an `adaptive_model.Model`."""
  s = sample(symbols, model.zero, model.cap, model.unit)
  s = aimed(s, symbols, model.zero, model.near, model.far)
  sums = np.rint(model.weights @ s.features).astype(np.int64)
  found = (sums >> model.shift) + CLASSES // 2
  if not model.weights.any():
    found[:] = CLASSES // 2
  return np.clip(found, 0, CLASSES - 1).reshape(symbols.shape)

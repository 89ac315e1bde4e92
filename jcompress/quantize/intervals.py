"""The best cuts of sorted weights into k intervals, by dynamic programming.

Sums of distortions over intervals are differences of cumulative sums, so that
the programme sees edges only: of the weights themselves where there are few, of
thousands of bins where there are many.

References:
  Wang and Song, Ckmeans.1d.dp: Optimal k-means Clustering in One Dimension by
    Dynamic Programming, 2011.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

MAX_K = 65536
_MAX_EDGES = 2**14
_MAX_CELLS = 2**24
_BLOCK = 16
CHUNK = 2**15


class Line(NamedTuple):
  """Weights in rising order, if at most `MAX_K` distinct ones each once.

  Attributes:
    values: the weights.
    share: their importances, added up over equal weights.
    centre: the one in the middle; sums are of `x = values - centre`.
    sums: of `share`, `share * x` and `share * x^2` from the centre up to each
      `_BLOCK`-th weight from there, negative on its left: so no sum over
      weights near it has lost its digits to one far away. (For every weight,
      fresh memory would cost more than the few additions that it saves.)
  """

  values: Float32[np.ndarray, ' m']
  share: Float[np.ndarray, ' m']
  centre: np.float64
  sums: Float[np.ndarray, '3 blocks']

  def sums_to(
    self, edges: Int[np.ndarray, ' edges']
  ) -> Float[np.ndarray, '3 edges']:
    """The sums over the weights from the centre up to each edge."""
    size = self.values.size
    first, middle = _blocks(size)
    block, rest = np.divmod(edges - first, _BLOCK)
    on_left = block < middle
    # Of the block of an edge the part that lies towards the centre.
    part = (np.arange(_BLOCK) < rest[:, None]) ^ on_left[:, None]
    index = first + block[:, None] * _BLOCK + np.arange(_BLOCK)
    part &= (index >= 0) & (index < size)
    index = np.clip(index, 0, size - 1)
    share, x = self.share[index] * part, self.values[index] - self.centre
    powers = np.stack([p.sum(1) for p in (share, share * x, share * x * x)])
    return self.sums[:, block + on_left] + np.where(on_left, -powers, powers)

  def count_up_to(
    self, x: Float[np.ndarray, ' points']
  ) -> Int[np.ndarray, ' points']:
    """How many values are at most as large as each point."""
    bounds = x + self.centre
    # In the dtype of the values, or the search would convert them all.
    below = bounds.astype(np.float32)
    low = np.nextafter(below, np.float32(-np.inf))
    below = np.where(below > bounds, low, below)
    return np.searchsorted(self.values, below, side='right')


def make_line(
  w: Float32[np.ndarray, '...'], weights: Float[np.ndarray, '...'] | None
) -> Line:
  """Sorts weights; those of importance zero are left out."""
  if weights is None:
    values = np.sort(w, axis=None)
    share = np.broadcast_to(np.float64(1), values.shape)
  else:
    live = np.flatnonzero(weights)
    live = live[np.argsort(w.ravel()[live])]
    values, share = w.ravel()[live], weights.ravel()[live]
  changes = values[1:] != values[:-1]
  if np.count_nonzero(changes) < MAX_K:
    first = np.append(0, np.flatnonzero(changes) + 1)
    values, share = values[first], np.add.reduceat(share, first)
  centre = values[values.size // 2].astype(np.float64)
  first, middle = _blocks(values.size)
  sums = np.zeros((3, -(-(values.size - first) // _BLOCK) + 1))
  for i in range(first, values.size, CHUNK):
    chunk = slice(max(i, 0), i + CHUNK)
    x, h = values[chunk] - centre, share[chunk]
    starts = np.maximum(np.arange(i, chunk.start + x.size, _BLOCK), 0)
    starts -= chunk.start
    block = 1 + (i - first) // _BLOCK
    blocks = slice(block, block + starts.size)
    for row, power in zip(sums, (h, h * x, h * x * x), strict=True):
      row[blocks] = np.add.reduceat(power, starts)
  left = -np.cumsum(sums[:, middle:0:-1], axis=1)[:, ::-1]
  right = np.cumsum(sums[:, middle + 1 :], axis=1)
  return Line(values, share, centre, np.hstack([left, np.zeros((3, 1)), right]))


def _blocks(size):
  """Where the first block starts, not after zero, and which starts amid."""
  middle = -(-(size // 2) // _BLOCK)
  return size // 2 - middle * _BLOCK, middle


def best_cuts(line: Line, k: int) -> Int[np.ndarray, ' cuts']:
  """At most `k - 1` indices at which to cut a line of more than `k` weights.

  The optimum for up to `max(2^14, 2^24 / k)` weights; for more the optimum over
  as many bins, and for `k > 2^11` bins of the asymptotically best width.
  """
  size = line.values.size
  most = min(_MAX_EDGES, k + _MAX_CELLS // k)
  if size <= most:
    edges = np.arange(size + 1)
  elif k <= _MAX_EDGES // 8:
    edges = _spaced_edges(line, min(most, max(_MAX_EDGES // 8, 32 * k)))
  else:
    return _spaced_edges(line, k)[1:-1]
  alone = np.append(np.diff(edges) == 1, False)
  return edges[interval_programme(k, alone, *line.sums_to(edges))]


def _spaced_edges(line: Line, bins: int):
  """Edges whose density is the cube root of that of the weights.

  For many clusters this is the density of the best centers (Panter and Dite,
  1951). What wide gaps would get beyond one bin a weight goes to the others.
  """
  size = line.values.size
  ranks = np.linspace(0, size - 1, min(size, 8 * bins)).astype(int)
  mass = np.diff(line.sums_to(ranks)[0])
  width = np.diff(line.values[ranks].astype(np.float64))
  wanted = np.cbrt(mass * np.square(width))
  for _ in range(100):
    most = 1.05 * wanted.sum() / (bins - 1) * np.diff(ranks)
    if (wanted <= most).all():
      break
    wanted = np.minimum(wanted, most)
  places = np.append(0, np.cumsum(wanted))
  even = np.linspace(0, places[-1], bins)
  edges = np.ceil(np.interp(even, places, ranks)).astype(int)
  edges = np.searchsorted(line.values, line.values[edges])
  return np.unique(np.append(edges, size))


def interval_programme(
  k: int,
  alone: Bool[np.ndarray, ' edges'],
  mass: Float[np.ndarray, ' edges'],
  moment: Float[np.ndarray, ' edges'],
  energy: Float[np.ndarray, ' edges'],
) -> Int[np.ndarray, ' cuts']:
  """Best cuts, from the sums up to each edge, in `O(k m log m)`.

  What lies between an edge that is `alone` and the next is one weight, of
  distortion zero: the sums around one that is far away cannot say so.

  `D_q[i] = min_j D_{q-1}[j] + cost(j, i)`, where the best `j` never falls as
  `i` or `q` grows. So the rows of a layer `q` are solved coarse to fine, all
  rows of a level at once, each between the answers of its neighbours.
  """
  width = mass.size - k

  def cost(begin, end):
    weight = np.maximum(mass[end] - mass[begin], np.finfo(np.float64).tiny)
    square = np.square(moment[end] - moment[begin])
    value = np.maximum(energy[end] - energy[begin] - square / weight, 0)
    value[alone[begin] & (end - begin == 1)] = 0
    return value

  first = np.arange(1, width + 1)
  best = cost(np.zeros_like(first), first)
  answers = np.zeros((k, width), np.uint16)
  for q in range(2, k + 1):
    # Row r ends at edge q + r; its choice a starts the last interval at edge
    # q - 1 + a and is the row a of the layer before.
    # The layer before has the edge of row r at its row r + 1, one off too in a.
    below = np.append(answers[q - 2, 1:], answers[q - 2, -1:]).astype(int) - 1
    answer = np.zeros(width + 1, np.int64)
    answer[width] = width - 1
    total = np.empty(width)
    stride = 1 << (width.bit_length() - 1)
    while stride:
      rows = np.arange(stride - 1, width, 2 * stride)
      high = np.minimum(answer[np.minimum(rows + stride, width)], rows)
      low = np.where(rows >= stride, answer[rows - stride], 0)
      low = np.minimum(np.maximum(low, below[rows]), high)
      lengths = high - low + 1
      starts = np.cumsum(lengths) - lengths
      choice = np.arange(lengths.sum()) + np.repeat(low - starts, lengths)
      end, begin = np.repeat(rows + q, lengths), choice + q - 1
      costs = best[choice] + cost(begin, end)
      least = np.minimum.reduceat(costs, starts)
      hits = np.flatnonzero(costs == np.repeat(least, lengths))
      answer[rows] = choice[hits[np.searchsorted(hits, starts)]]
      total[rows] = least
      stride //= 2
    best, answers[q - 1] = total, answer[:width]
  cuts, row = np.empty(k - 1, np.int64), width - 1
  for q in range(k, 1, -1):
    row = answers[q - 1, row]
    cuts[q - 2] = q - 1 + row
  return cuts

"""Entropy-constrained scalar quantization: centers for variable-length codes.

A weight costs the bits of its code, which are few where the code has many
weights. So it may do better with a popular center than with the nearest one,
and the less important it is the farther it goes. All on the host, in NumPy.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float32, Int, Shaped, UInt

_BOX = 256
_CELLS = 2**20
_ROUNDS = 100
_ENOUGH = 1e-5  # relative gain of a round below which no other one follows
_NEAR = 0.004  # bits a weight
_TRIALS = 20
_SAMPLE = 2**14


class Ecsq(NamedTuple):
  """A quantization of weights.

  Attributes:
    centers: sorted; only those that have members.
    codes: of the shape of the weights: indices of centers.
    distortion: mean of importance times squared distance to the center.
    entropy: of the codes, bits a weight.
    objectives: `distortion + strength * entropy` after each round.
  """

  centers: Float32[np.ndarray, ' clusters']
  codes: UInt[np.ndarray, '...']
  distortion: float
  entropy: float
  objectives: tuple[float, ...]


def ecsq_1d(
  w: Shaped[Array | np.ndarray, '...'],
  k: int,
  strength: float,
  *,
  weights: Shaped[Array | np.ndarray, '...'] | None = None,
  start: str = 'linear',
) -> Ecsq:
  """Lowers `J = sum_i h_i (w_i - c[a_i])^2 / n + strength * entropy(a)`.

  In turn each weight takes the center that is cheapest for it, each center
  becomes the mean of its members, each code gets the length that its frequency
  is worth; a code without members is dropped. No step raises `J`, which ends in
  a local minimum. With `strength=0` this is Lloyd's iteration.

  >>> w = np.array([0.0, 0.1, 0.2, 1.0])
  >>> [ecsq_1d(w, 4, strength).centers.size for strength in (0.0, 0.1, 1.0)]
  [3, 2, 1]

  Args:
    w: finite weights of any shape, at least one; rounded to float32.
    k: number of centers at the start, `1 .. 65535`.
    strength: the paper's lambda: what a bit of a weight is worth, in units of
      `h_i w_i^2`.
    weights: importance `h > 0` of each weight, of the shape of `w`. Default:
      all one.
    start: `'linear'`, `k` equally spaced centers from the least to the largest
      weight; `'density'`, `k` centers with equally many weights around each.

  References:
    Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
      1612.01543, section 4.3.
    Chou et al., Entropy-Constrained Vector Quantization, 1989.
  """
  return _search(_boxed(w, weights), k, strength, start)


def ecsq_of_entropy(
  w: Shaped[Array | np.ndarray, '...'],
  k: int,
  bits: float,
  *,
  weights: Shaped[Array | np.ndarray, '...'] | None = None,
  start: str = 'linear',
) -> Ecsq:
  """The `ecsq_1d` of least strength whose entropy is at most `bits` a weight.

  Bisects the logarithm of the strength until the entropy is less than 0.004
  bits below the bound, or jumps across it. Of few weights or from few centers
  it jumps, by up to a tenth of a bit.

  Args:
    w: see `ecsq_1d`.
    k: see `ecsq_1d`.
    bits: `> 0`.
    weights: see `ecsq_1d`.
    start: see `ecsq_1d`.
  """
  boxes = _boxed(w, weights)
  if bits >= np.log2(k):
    return _search(boxes, k, 0.0, start)
  if boxes.w.size > 2 * _SAMPLE:
    some = slice(None, None, boxes.w.size // _SAMPLE)
    sample = _boxed(boxes.w[some], boxes.h[some])
    guess, _ = _reach(sample, k, bits, _first_guess(sample, bits), start)
  else:
    guess = _first_guess(boxes, bits)
  return _reach(boxes, k, bits, guess, start)[1]


def _first_guess(boxes, bits):
  """Of fine quantization, where one bit more quarters the distortion."""
  return 2 * np.log(2) * energy(boxes.w, boxes.h) / 4**bits


def _reach(boxes, k, bits, strength, start):
  """The strength, or as near as the entropy jumps over, and what it gives."""
  low, high, best = 0.0, np.inf, _search(boxes, 1, 0.0, start)
  least = 1e-9 * _first_guess(boxes, bits)
  for trial in range(_TRIALS):
    found = _search(boxes, k, strength, start)
    if found.entropy > bits:
      low = strength
    else:
      high, best = strength, found
    enough = best.entropy > bits - _NEAR or high <= max(1.001 * low, least)
    if enough and high < np.inf:
      break
    if 0 < low and high < np.inf:
      strength = np.sqrt(low * high)
      continue
    gap = found.entropy - bits + _NEAR / 2
    factor = max(4 ** abs(gap), 1.005 ** min(2**trial, 800))
    strength *= factor if gap > 0 else 1 / factor
  return min(high, strength), best


def energy(
  w: Float[np.ndarray, ' n'], h: Float[np.ndarray, ' n']
) -> np.floating:
  """Distortion of one center for all: what strengths are measured in."""
  return np.mean(h * np.square(w - np.average(w, weights=h)))


class _Boxes(NamedTuple):
  """Weights of about the same value and importance stand together.

  The cost of a center less `w^2` is `c^2 - 2 c w + (1 / h) (strength * bits)`,
  linear in `w` and `1 / h`. Hence over a box it is extreme in the corners, and
  a center that another one undercuts in all four is out for the whole box.
  """

  w: Float[np.ndarray, ' n']
  h: Float[np.ndarray, ' n']
  order: Int[np.ndarray, ' n']  # places of these weights in the array
  inside: Int[np.ndarray, 'boxes 256']  # places in `w`; the last fills up
  corners: Float[np.ndarray, '4 boxes 2']  # values and `1 / h`
  shape: tuple[int, ...]


def _boxed(w, weights):
  w = np.asarray(w, np.float32)
  flat = w.ravel().astype(np.float64)
  if weights is None:
    h, order = np.ones(flat.size), np.argsort(flat)
  else:
    h = np.asarray(weights, np.float64).ravel()
    slabs = np.array_split(
      np.argsort(h, kind='stable'), max(1, int(np.sqrt(flat.size / _BOX)))
    )
    order = np.concatenate([slab[np.argsort(flat[slab])] for slab in slabs])
  flat, h = flat[order], h[order]
  inside = np.arange(-(-flat.size // _BOX) * _BOX).reshape(-1, _BOX)
  inside = np.minimum(inside, flat.size - 1)
  sides = [(x[inside].min(1), x[inside].max(1)) for x in (flat, 1 / h)]
  corners = [np.stack([x, y], 1) for x in sides[0] for y in sides[1]]
  return _Boxes(flat, h, order, inside, np.stack(corners), w.shape)


def _search(boxes: _Boxes, k: int, strength: float, start: str) -> Ecsq:
  w, h = boxes.w, boxes.h
  centers = _start(w, k, start)
  lengths = np.full(k, np.log2(k))
  objectives: list[float] = []
  while len(objectives) < _ROUNDS:
    codes = _assign(boxes, centers, strength * lengths)
    counts = np.bincount(codes, minlength=centers.size)
    used = counts > 0
    codes = (np.cumsum(used) - 1)[codes]
    mass, moment = np.bincount(codes, h), np.bincount(codes, h * w)
    centers, counts = moment / mass, counts[used]
    lengths = np.log2(w.size / counts)
    distortion = float(np.mean(h * np.square(w - centers[codes])))
    entropy = float(counts @ lengths / w.size)
    objectives.append(float(distortion + strength * entropy))
    last = objectives[-2:]
    if len(last) == 2 and last[0] - last[1] <= _ENOUGH * last[0]:
      break
  rank = np.argsort(centers)
  placed = np.empty(w.size, np.uint16)
  placed[boxes.order] = np.argsort(rank)[codes]
  return Ecsq(
    centers[rank].astype(np.float32),
    placed.reshape(boxes.shape),
    distortion,
    entropy,
    tuple(objectives),
  )


def _start(w, k, start):
  if start == 'linear':
    return np.linspace(w.min(), w.max(), k)
  return np.quantile(w, (np.arange(k) + 0.5) / k)


def _assign(boxes, centers, prices):
  """The cheapest center of each weight; the first of equal ones."""
  codes = np.empty(boxes.inside.shape, np.int64)
  step = max(1, _CELLS // centers.size)
  for i in range(0, len(codes), step):
    part = slice(i, i + step)
    corners, inside = boxes.corners[:, part], boxes.inside[part]
    box, center = np.nonzero(_may_win(corners, centers, prices))
    first = np.searchsorted(box, np.arange(len(inside) + 1))
    codes[part] = center[first[:-1], None]
    many = np.diff(first)
    least = np.full(inside.shape, np.inf)
    for rank in range(many.max() if many.max() > 1 else 0):
      rows = np.flatnonzero(many > max(rank, 1))
      j = center[first[rows] + rank, None]
      x, u = boxes.w[inside[rows]], 1 / boxes.h[inside[rows]]
      cost = centers[j] * (centers[j] - 2 * x) + prices[j] * u
      better = cost < least[rows]
      least[rows] = np.where(better, cost, least[rows])
      codes[part][rows] = np.where(better, j, codes[part][rows])
  return codes.reshape(-1)[: boxes.w.size]


def _may_win(corners, centers, prices):
  """`[boxes, k]`: false where another center is cheaper in all corners."""
  costs = [
    centers * (centers - 2 * c[:, :1]) + prices * c[:, 1:] for c in corners
  ]
  out = np.zeros(costs[0].shape, bool)
  for winner in [cost.argmin(1)[:, None] for cost in costs]:
    beaten = [cost > np.take_along_axis(cost, winner, 1) for cost in costs]
    out |= np.logical_and.reduce(beaten)
  return ~out

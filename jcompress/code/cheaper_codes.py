"""Codes of one array that cost fewer bits, weighed against what they change.

The bits are those of the model of neighbours (see `adaptive_loops`): a zero in
an empty row costs next to nothing, one among large weights does. Since each
choice changes what its neighbours cost, there are a few rounds.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer

from jcompress import encoded, tree
from jcompress.code import adaptive_model, adaptive_sample, adaptive_search
from jcompress.code.adaptive_loops import CLASSES
from jcompress.code.orders import order, zero_of
from jcompress.encoded.rotated import hadamard, pieces

_ROUNDS = 4
_PRIOR = 4.0  # codes that a class has seen in the proportions of all
_KINDS = encoded.Codebook, encoded.Quantized, encoded.Blocks


def cheaper(
  leaf: Any,
  target: Any,
  importance: Any,
  strength: float,
  keep_zeros: bool,
) -> Any:
  """A leaf with the codes of least distortion plus strength times bits.

  Args:
    leaf: any; one without codes that can move is given back.
    target: the weights, or `None` for what the leaf decodes to.
    importance: of each weight, or one number; `None` for 1.
    strength: of a bit.
    keep_zeros: whether codes of zero stay.

  Raises:
    ValueError: target or importance are not of the shape of the leaf.
  """
  whole: Any = leaf
  rest = strength, keep_zeros
  if isinstance(leaf, encoded.Stacked):
    targets = _layers(leaf, target, 'params')
    weights = _layers(leaf, importance, 'importance')
    parts = tuple(
      cheaper(part, wanted, h, *rest)
      for part, wanted, h in zip(leaf.parts, targets, weights, strict=True)
    )
    return dataclasses.replace(whole, parts=parts)
  if isinstance(leaf, encoded.Scaled):
    target, h = _unscaled(leaf, target, importance)
    part = cheaper(leaf.part, target, h, *rest)
    return dataclasses.replace(whole, part=part)
  if isinstance(leaf, encoded.Rotated):
    _check_shapes(target, importance, whole.codes.shape)
    part, target, h = _turned(leaf, target, importance, keep_zeros)
    moved: Any = cheaper(part, target, h, strength, False)
    return dataclasses.replace(whole, codes=moved.codes)
  if not isinstance(leaf, _KINDS) or whole.codes.size < 2:
    return leaf
  if isinstance(leaf, encoded.Codebook):
    if whole.centers.ndim != 1:
      return leaf
    ranks, zero = order(np.asarray(whole.centers))
    places = np.argsort(ranks)
  else:
    most = int(whole.codes.max())
    low = min(int(whole.codes.min()), zero_of(leaf))
    places = np.arange(low, max(most, zero_of(leaf)) + 1)
    ranks, zero = None, zero_of(leaf) - low
  codes = tree.to_host(whole.codes).astype(np.int64)
  symbols = codes - places[0] if ranks is None else ranks[codes]
  zero = zero if ranks is None else int(ranks[zero])
  if max(zero, len(places) - 1 - zero) > adaptive_model.MOST or len(places) < 2:
    return leaf

  def with_symbols(symbols):
    kind = whole.codes.dtype
    return dataclasses.replace(whole, codes=places[symbols].astype(kind))

  values = lambda s: tree.to_host(with_symbols(s).decode()).astype(np.float64)
  now = values(symbols)
  _check_shapes(target, importance, now.shape)
  target = now if target is None else tree.to_host(target).astype(np.float64)
  h = np.asarray(1.0 if importance is None else tree.to_host(importance))
  below, above = np.maximum(symbols - 1, 0), symbols + 1
  above = np.minimum(above, len(places) - 1)
  moves = np.stack([symbols, below, above, np.full_like(symbols, zero)])
  if keep_zeros:
    moves = np.where(symbols == zero, zero, moves)
  costs = np.stack([h * (target - values(s)) ** 2 for s in moves])
  return with_symbols(_choose(moves, costs, zero, len(places), strength))


def _layers(leaf, values, what):
  """What belongs to each layer of a stacked leaf."""
  if values is None or not np.ndim(values):
    return [values] * len(leaf.parts)
  values = tree.to_host(values)
  outer = range(len(leaf.axes))
  if [values.shape[a] for a in leaf.axes if a < values.ndim] != [*leaf.sizes]:
    raise ValueError(
      f'{what} {list(values.shape)} has no layers of sizes {leaf.sizes} along '
      f'the axes {leaf.axes}.'
    )
  first = np.moveaxis(values, leaf.axes, outer)
  return list(first.reshape(-1, *first.shape[len(leaf.axes) :]))


def _unscaled(leaf, target, importance):
  """Target and importance of the part that is stretched."""
  factor = tree.to_host(leaf.factor).astype(np.float64)
  if target is not None:
    # Behind a factor of zero any code will do, such as the one there is.
    target, part = tree.to_host(target), tree.to_host(leaf.part.decode())
    safe = np.where(factor == 0, 1, factor)
    target = np.where(factor == 0, part, target / safe)
  h = 1.0 if importance is None else tree.to_host(importance)
  shape = np.shape(tree.to_host(leaf.part.decode()))
  return target, np.broadcast_to(h * factor**2, shape)


def _turned(leaf, target, importance, keep_zeros):
  """Codes of a rotated leaf as those of blocks; their target and importance.

  Errors keep their squares when they are rotated. Those of a piece that are
  independent spread evenly over its weights, so that each counts with the mean
  of their importance.
  """
  axis, n = leaf.axis, leaf.codes.shape[leaf.axis]
  last = lambda x: np.moveaxis(tree.to_host(x), axis, -1)
  back = lambda x: np.moveaxis(np.asarray(x), -1, axis)
  cut = [s for s, count in pieces(n, leaf.block) for _ in range(count)]
  starts = np.cumsum([0, *cut[:-1]])
  spread = lambda x: back(np.repeat(x, cut, -1))
  part = encoded.Blocks(leaf.codes, spread(last(leaf.scale)), leaf.centers)
  if target is not None:
    signed = np.where(tree.to_host(leaf.signs), 1, -1) * last(target)
    target = back(hadamard(jnp.asarray(signed, jnp.float32), leaf.block))
  h = 1.0 if importance is None else tree.to_host(importance)
  if np.ndim(h):
    h = spread(np.add.reduceat(last(h), starts, -1) / np.array(cut))
  if keep_zeros:  # only where all weights that are mixed are zero
    used = last(np.asarray(part.decode()) != 0).astype(int)
    kept = spread(np.add.reduceat(used, starts, -1)) == 0
    target = part.decode() if target is None else target
    target = np.where(kept, 0, tree.to_host(target))
    h = np.where(kept, np.finfo(np.float32).max, h)
  return part, target, h


def _check_shapes(target, importance, shape):
  found = shape if target is None else np.shape(target)
  weights = np.shape(1.0 if importance is None else importance)
  if found != shape or weights not in ((), shape):
    raise ValueError(
      f'params {list(found)} or importance {list(weights)} is not that of a '
      f'leaf {list(shape)}.'
    )


def _choose(
  moves: Integer[np.ndarray, '4 ...'],
  costs: Float[np.ndarray, '4 ...'],
  zero: int,
  k: int,
  strength: float,
) -> Integer[np.ndarray, '...']:
  """The move of least cost for each entry."""
  symbols = moves[0]
  for _ in range(_ROUNDS):
    bits, classes = _bits(symbols, zero, k)
    total = costs + strength * bits[classes, np.abs(moves - zero)]
    best = total.argmin(0)[None]
    chosen = np.take_along_axis(moves, best, 0)[0]
    if (chosen == symbols).all():
      break
    symbols = chosen
  return symbols


def _bits(symbols, zero, k):
  """Bits of each size in each class, sign included, and the class of each."""
  counts = np.bincount(symbols.reshape(-1), minlength=k)
  most = max(zero, k - 1 - zero)
  of_each = np.zeros(most + 1)
  np.add.at(of_each, np.abs(np.arange(k) - zero), counts)
  classes = np.zeros(symbols.shape, np.int64)
  if np.count_nonzero(counts) > 1:
    seen = counts[: symbols.max() + 1]
    model, walked, _ = adaptive_search.best(symbols, zero, seen)
    found = adaptive_sample.classes(walked, model)
    classes = adaptive_model.unwalked(found, symbols.shape, model.way)
  table = np.zeros((CLASSES, most + 1))
  np.add.at(table, (classes, np.abs(symbols - zero)), 1)
  shares = (of_each + 0.5) / (of_each + 0.5).sum()
  table += _PRIOR * shares
  bits = np.log2(table.sum(1, keepdims=True)) - np.log2(table)
  bits[:, 1:] += 1
  return bits, classes

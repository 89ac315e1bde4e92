"""Brain surgery on large layers: a block of inputs at a time."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

_WIDTH = 128


def prune_columns(
  rows: Float[np.ndarray, 'out in'],
  factor: Float[np.ndarray, 'in in'],
  sparsity: float | None = None,
  group: tuple[int, int] | None = None,
  block: int = 1,
  rounded: Callable[[int, np.ndarray], np.ndarray] | None = None,
  span_of: int = 1,
) -> Float[np.ndarray, 'out in']:
  """Prunes the inputs from the first to the last, adjusting those that follow.

  All rows eliminate the inputs in the same order, whether they prune them or
  not. So one factor of the inverse Hessian holds every inverse that is needed:
  row `i` of `U` is the column of the inverse over the inputs from `i` on, by
  the root of its diagonal.

  Args:
    rows: weights of one output each; zeros stay zero and count as pruned.
    factor: upper triangular `U` with `U^T U` the inverse Hessian.
    sparsity: fraction of weights to prune, the same in each 128 inputs.
    group: instead: `(n, m)` keeps `n` of each `m` neighbors.
    block: of neighbors that are pruned together, by the sum of their costs.
    rounded: gives what the weights of an input that are kept become, as far as
      `(input, rows)` are adjusted by then: those of the block of this input.
    span_of: inputs such as `0 .. span_of - 1` are of the same block.

  References:
    Frantar & Alistarh, SparseGPT, 2023, arXiv 2301.00774, algorithm 1.
    Frantar et al., GPTQ, 2022, arXiv 2210.17323, algorithm 1 (`rounded`).
  """
  w = rows.copy()
  inputs = w.shape[1]
  unit = group[1] if group else block
  whole = math.lcm(unit, span_of)
  width = whole * max(1, _WIDTH // whole)
  diagonal = np.diagonal(factor)
  zero = rows == 0
  live = int(np.sum(~zero))
  open_target = max(0, round((sparsity or 0.0) * rows.size) - int(zero.sum()))
  done = seen = 0

  for start in range(0, inputs, width):
    span = slice(start, min(start + width, inputs))
    part = w[:, span]
    gone = zero[:, span].copy()
    if group is None and open_target:
      seen += int(np.sum(~gone))
      share = round(open_target * seen / max(1, live)) - done
      gone |= _cheapest((part / diagonal[span]) ** 2, gone, share, block)
      done += int(np.sum(gone & ~zero[:, span]))
    errors = np.empty_like(part)
    for i in range(part.shape[1]):
      j = start + i
      if group is not None and i % unit == 0:
        here = slice(j, j + unit)
        score = (w[:, here] / diagonal[here]) ** 2
        score[zero[:, here]] = -1
        rank = np.argsort(np.argsort(score, axis=1, kind='stable'), axis=1)
        gone[:, i : i + unit] |= rank < unit - group[0]
      kept = part[:, i] if rounded is None else rounded(j, w)
      kept = np.where(gone[:, i], 0, kept)
      errors[:, i] = (part[:, i] - kept) / diagonal[j]
      part[:, i:] -= np.outer(errors[:, i], factor[j, j : span.stop])
      part[:, i] = kept
    w[:, span.stop :] -= errors @ factor[span, span.stop :]
  return w


def pattern_of(pattern: str, inputs: int) -> tuple[int, int]:
  """`(n, m)` of `'n:m'`.

  Raises:
    ValueError: it is no such pattern, or `m` does not divide the inputs.
  """
  n, _, m = pattern.partition(':')
  if not (n.isdigit() and m.isdigit() and 0 < int(n) < int(m)):
    raise ValueError(f"pattern is {pattern!r}; it must be 'n:m' with n < m.")
  if inputs % int(m):
    raise ValueError(f'pattern is {pattern!r}, but {m} divides not {inputs}.')
  return int(n), int(m)


def _cheapest(cost, gone, count, block):
  """The cheapest blocks that have, together, about `count` weights left."""
  fresh = (~gone).reshape(len(gone), gone.shape[1] // block, block)
  total = np.where(fresh, cost.reshape(fresh.shape), 0).sum(2)
  size = fresh.sum(2)
  total[size == 0] = np.inf
  ranked = np.argsort(total, axis=None, kind='stable')
  fits = np.cumsum(size.ravel()[ranked]) <= count
  chosen = np.zeros(total.size, bool)
  chosen[ranked[fits]] = True
  return np.repeat(chosen.reshape(total.shape), block, axis=1)

"""Exact Optimal Brain Surgeon on the rows of a layer, many rows at once."""

import numpy as np
from jaxtyping import Bool, Float, Int

_RANK = 64  # eliminations that are put off and then done as one product
_BATCH = 2**22  # entries of the inverses that are in memory at a time
_FORBIDDEN = 1e300


def eliminate(
  rows: Float[np.ndarray, 'out in'],
  factor: Float[np.ndarray, 'in in'],
  group: tuple[int, int] | None = None,
  block: int = 1,
) -> tuple[Int[np.ndarray, 'out steps'], Float[np.ndarray, 'out steps']]:
  """Removes the cheapest weight of each row, again and again, to the last.

  Args:
    rows: weights of one output each.
    factor: upper triangular `U` with `U^T U` the inverse Hessian of every row.
    group: `(n, m)`: removes while more than `n` of `m` neighbors are left.
    block: of neighbors that are removed together.

  Returns:
    Which weight (or block) went in each step, and what it cost; the cost is
    infinite in steps that the group forbids.

  Raises:
    ValueError: rounding made an inverse indefinite on the way.

  References:
    Frantar & Alistarh, Optimal Brain Compression, 2022, arXiv 2208.11580,
    algorithm 1, with the elimination of equation 4.
  """
  inputs = rows.shape[1]
  inverse = factor.T @ factor
  size = max(1, _BATCH // max(1, inputs**2))
  steps = inputs // block
  if group is not None:
    n, m = group
    zeros = (rows == 0).reshape(len(rows), inputs // m, m).sum(2)
    steps = int(np.maximum(zeros, m - n).sum(1).max(initial=0))
  order = np.zeros((len(rows), steps), np.int64)
  loss = np.zeros((len(rows), steps))
  for i in range(0, len(rows), size):
    span = slice(i, i + size)
    try:
      order[span], loss[span] = _eliminate_batch(
        rows[span], inverse, steps, group, block
      )
    except np.linalg.LinAlgError as error:
      raise ValueError(
        f'An inverse Hessian of the outputs {i} .. {min(i + size, len(rows))} '
        'became indefinite by rounding. Give more damping.'
      ) from error
  return order, loss


def _eliminate_batch(rows, inverse, steps, group, block):
  """`eliminate` for as many rows as fit in memory.

  An elimination subtracts `u u^T` from the inverse of its row. That is put off
  for `_RANK` of them, which only need the diagonal and one row of the inverse
  each; then all are subtracted as one matrix product.
  """
  count, inputs = rows.shape
  every = np.arange(count)
  w = rows.copy()
  inverses = np.stack([_without_zeros(inverse, row, block) for row in rows])
  order = np.zeros((count, steps), np.int64)
  loss = np.zeros((count, steps))
  places = np.tile(np.arange(inputs // block), (count, 1))  # of blocks
  alive = np.ones((count, inputs // block), bool)
  left = group and np.full((count, inputs // group[1]), group[1])
  pending, waiting = np.zeros((count, _RANK + block, inputs)), 0
  diagonal = _block_diagonal(inverses, block)
  for step in range(steps):
    cost = _saliency(w, diagonal, block)
    if group is not None:
      full = np.take_along_axis(left, places // group[1], 1) <= group[0]
      cost = np.where(full & (w != 0), _FORBIDDEN, cost)
    q = np.argmin(np.where(alive, cost, np.inf), axis=1)
    order[:, step], loss[:, step] = places[every, q], cost[every, q]
    if group is not None:
      left[every, order[:, step] // group[1]] -= 1

    span = q[:, None] * block + np.arange(block)
    u = inverses[every[:, None], span]
    earlier = pending[:, :waiting]
    weights = np.take_along_axis(earlier, span[:, None], axis=2)
    u = u - weights.transpose(0, 2, 1) @ earlier  # eq. 4
    pivot = np.take_along_axis(u, span[:, None], axis=2)
    own = np.take_along_axis(w, span, axis=1)
    if block == 1:
      if (pivot <= 0).any():
        raise np.linalg.LinAlgError
      u /= np.sqrt(pivot)
      w -= own * u[:, 0] / np.sqrt(pivot[:, 0])
    else:
      lower = np.linalg.cholesky(pivot)
      u = np.linalg.solve(lower, u)
      share = np.linalg.solve(lower, own[:, :, None])
      w -= (share.transpose(0, 2, 1) @ u)[:, 0]
    np.put_along_axis(w, span, 0, axis=1)
    alive[every, q] = False
    parts = u.reshape(count, block, alive.shape[1], block)
    diagonal -= np.einsum('rkbi,rkbj->rbij', parts, parts)
    diagonal[every, q] = np.eye(block)  # of what is gone: anything with inverse
    pending[:, waiting : waiting + block] = u
    waiting += block

    if waiting >= _RANK:
      for g, p in zip(inverses, pending[:, :waiting], strict=True):
        g -= p.T @ p
      waiting = 0
      if alive.sum() < 0.8 * alive.size:
        kept = np.nonzero(alive)[1].reshape(count, -1)
        places = np.take_along_axis(places, kept, axis=1)
        spans = (kept[:, :, None] * block + np.arange(block)).reshape(count, -1)
        w = np.take_along_axis(w, spans, axis=1)
        inverses = np.stack(
          [g[s][:, s] for g, s in zip(inverses, spans, strict=True)]
        )
        pending = pending[:, :, : w.shape[1]]
        alive = np.ones(kept.shape, bool)
        diagonal = _block_diagonal(inverses, block)
  return order, np.where(loss < _FORBIDDEN, loss, np.inf)


def select_cheapest(
  rows: Float[np.ndarray, 'out in'],
  order: Int[np.ndarray, 'out steps'],
  loss: Float[np.ndarray, 'out steps'],
  block: int,
  target: int | None,
  budget: float,
) -> Bool[np.ndarray, 'out in']:
  """Which weights go: the cheapest steps of all rows together.

  A step needs those before it in its row, so that it is ranked by the dearest
  of them. Weights that are zero already cost nothing and go first.

  Args:
    rows: the weights.
    order: see `eliminate`.
    loss: see `eliminate`.
    block: see `eliminate`.
    target: how many weights are zero at most.
    budget: what the steps may cost together.

  References:
    Frantar & Alistarh, 2022, algorithm 2.
  """
  key = np.maximum.accumulate(loss, axis=1)
  ranked = np.argsort(key, axis=None, kind='stable')
  ranked = ranked[np.isfinite(loss.ravel()[ranked])]
  is_zero = (rows == 0).reshape(len(rows), rows.shape[1] // block, block)
  fresh = block - np.take_along_axis(is_zero.sum(2), order, axis=1)
  zeros = is_zero.sum() + np.cumsum(fresh.ravel()[ranked])
  fits = np.cumsum(loss.ravel()[ranked]) <= budget
  if target is not None:
    fits &= zeros <= target
  row, step = np.unravel_index(ranked[fits], loss.shape)
  gone = np.zeros(is_zero.shape[:2], bool)
  gone[row, order[row, step]] = True
  return np.repeat(gone, block, axis=1)


def refit(
  rows: Float[np.ndarray, 'out in'],
  gone: Bool[np.ndarray, 'out in'],
  hessian: Float[np.ndarray, 'in in'],
) -> Float[np.ndarray, 'out in']:
  """The weights that are kept, at the minimum of each row's error.

  Where all removals of a row started from the inverse of one Hessian, the Brain
  Surgeon's adjustments add up to just this.
  """
  target = rows @ hessian
  new = np.where(gone, 0, rows)
  for i in np.flatnonzero((gone & (rows != 0)).any(1)):
    kept = np.flatnonzero(~gone[i])
    new[i, kept] = np.linalg.solve(hessian[np.ix_(kept, kept)], target[i, kept])
  return new


def _without_zeros(inverse, row, block):
  """A copy of the inverse of the Hessian of the weights that are not zero.

  Only blocks need that: zeros alone cost nothing, so that they go first.
  """
  zeros = np.flatnonzero(row == 0)
  if block == 1 or not len(zeros):
    return inverse.copy()
  columns = inverse[:, zeros]
  rest = inverse - columns @ np.linalg.solve(columns[zeros], columns.T)
  rest[zeros] = rest[:, zeros] = 0
  rest[zeros, zeros] = 1
  return rest


def _block_diagonal(inverses, block):
  count, inputs, _ = inverses.shape
  blocks = inputs // block
  tiles = inverses.reshape(count, blocks, block, blocks, block)
  return np.einsum('rbibj->rbij', tiles).copy()


def _saliency(w, diagonal, block):
  """What it costs to remove each block of each row."""
  if block == 1:
    with np.errstate(divide='ignore', invalid='ignore'):
      return w**2 / (2 * diagonal[:, :, 0, 0])  # eq. 3
  parts = w.reshape(*diagonal.shape[:2], block, 1)
  solved = np.linalg.solve(diagonal, parts)
  return np.sum(parts * solved, axis=(2, 3)) / 2

"""Ranks of all layers together, under a budget of parameters or operations."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float

Values = Sequence[float] | Float[Array | np.ndarray, '...']

_GRID = 10_000  # units into which a budget is cut that has too many


def allocate_ranks(
  spectra: Mapping[str, Values],
  costs: Mapping[str, int],
  budget: int,
  *,
  dense: Mapping[str, int] | None = None,
) -> dict[str, int | None]:
  """Shares a budget out over layers so that they lose least together.

  Minimizes `sum_l sum_(i > r_l) s_li^2` with `sum_l r_l costs_l <= budget`, by
  dynamic programming: exactly where the budget has at most 10,000 units, the
  greatest common divisor of the costs; otherwise costs are rounded up to a
  10,000th of the budget, and what that leaves is filled up. Taking the largest
  `s^2 / cost` next is worse where layers are few and large.

  A layer may also stay dense, at its own cost, and lose nothing; ranks that
  cost as much are never taken.

  Args:
    spectra: singular values of each layer: of the kernel, or better of its
      responses, divided by the norm of all of them.
    costs: of one rank of each layer: parameters, `in + out`, or operations.
    budget: for all layers.
    dense: what each layer costs as it is, such as `in out`; a layer without a
      number here must be factored.

  Returns:
    The rank of each layer, at least one; None where it stays dense.

  Raises:
    ValueError: layers that differ, no values, costs below one, or a budget that
      is not enough for a rank of one everywhere.

  >>> spectra = {'a': [9, 7, 7, 6], 'b': [9, 7, 5, 2], 'c': [9, 6, 2, 2]}
  >>> allocate_ranks(spectra, {'a': 5, 'b': 7, 'c': 11}, 60)
  {'a': 4, 'b': 2, 'c': 2}
  """
  dense = {} if dense is None else dense
  _require_layers(spectra, costs, dense)
  choices = {
    name: _choices(spectra[name], costs[name], dense.get(name))
    for name in spectra
  }
  least = sum(found[0][0] for found in choices.values())
  if budget < least:
    raise ValueError(
      f'The budget is {budget}; a rank of one in each of the {len(choices)} '
      f'layers, or the layer itself where it is smaller, costs {least}.'
    )
  most = sum(max(c for c, _, _ in found) for found in choices.values())
  budget = min(int(budget), most)
  every = [c for found in choices.values() for c, _, _ in found]
  unit = math.gcd(*every) if every else 1
  if budget // unit <= _GRID:
    picked = _solve(choices, budget // unit, unit)
  else:
    picked = _solve(choices, _GRID, budget / _GRID)
    picked = _filled(choices, picked, budget)
  return {name: choices[name][i][2] for name, i in picked.items()}


def _choices(values, cost, dense):
  """`(cost, loss, rank)` of what a layer may have, cheapest first."""
  squares = np.sort(np.square(np.asarray(values, np.float64)))[::-1]
  tails = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
  found: list[tuple[int, float, int | None]] = [
    (rank * cost, float(tails[rank]), rank)
    for rank in range(1, len(squares) + 1)
    if dense is None or rank * cost < dense
  ]
  if dense is not None:
    found.append((dense, 0.0, None))
  return found


def _solve(choices, units, unit):
  """The choice of each layer, by the least loss within so many units."""
  best = np.zeros(units + 1)
  taken = []
  for found in choices.values():
    new = np.full(units + 1, np.inf)
    pick = np.zeros(units + 1, np.int32)
    for i, (cost, loss, _) in enumerate(found):
      # A choice of the grid is never too cheap; what is exact stays so.
      steps = math.ceil(cost / unit - 1e-9)
      if steps > units:
        break
      total = best[: units + 1 - steps] + loss
      better = total < new[steps:]
      new[steps:][better] = total[better]
      pick[steps:][better] = i
    best = new
    taken.append(pick)
  picked, left = {}, units
  if not np.isfinite(best[left]):  # rounding up was too much for the grid
    return dict.fromkeys(choices, 0)
  for name, pick in zip(reversed(choices), reversed(taken), strict=True):
    i = int(pick[left])
    picked[name] = i
    left -= math.ceil(choices[name][i][0] / unit - 1e-9)
  return {name: picked[name] for name in choices}


def _filled(choices, picked, budget):
  """Spends what rounding has left, the best loss per cost first."""
  picked = dict(picked)
  while True:
    left = budget - sum(choices[n][i][0] for n, i in picked.items())
    steps = []
    for name, i in picked.items():
      cost, loss, _ = choices[name][i]
      for j, (more, less, _) in enumerate(choices[name]):
        if cost < more <= cost + left and less < loss:
          steps.append(((loss - less) / (more - cost), name, j))
    if not steps:
      return picked
    _, name, j = max(steps)
    picked[name] = j


def _require_layers(spectra, costs, dense):
  if set(spectra) != set(costs) or not set(dense) <= set(spectra):
    raise ValueError(
      f'Spectra of {sorted(spectra)}, costs of {sorted(costs)}, dense costs of '
      f'{sorted(dense)}: they must be of the same layers.'
    )
  for name, values in spectra.items():
    numbers = [costs[name], *([dense[name]] if name in dense else [])]
    finite = np.isfinite(np.asarray(values, np.float64)).all()
    if min(numbers) < 1 or not len(values) or not finite:
      raise ValueError(
        f'{name} has {len(values)} singular values and costs {numbers}; it '
        'needs one value or more, all finite, and costs of one or more.'
      )

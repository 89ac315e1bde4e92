"""Finds what to do with each array of a finished network under a budget."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jcompress import tree
from jcompress.code import container
from jcompress.encoded import decode
from jcompress.patterns import matches
from jcompress.planning.choices import Choice, candidates
from jcompress.planning.curves import (
  Curve,
  Metric,
  curve,
  prices,
  weight_error,
)
from jcompress.planning.plan import Plan, Point, known_moments
from jcompress.traced.kronecker import UNKNOWN, Moments

Progress = Callable[[list[str]], Iterable[str]]
LEAST = 1024  # entries of an array that is worth a choice
_LEAST_SHARE = 1 / 6  # of the bytes of an average array of its weights
_GRID = 4000  # of what a byte may be worth
_TRIES = 8  # networks that are made and measured
_NEAR = {'size': 0.997, 'error': 0.95}  # of the budget: near enough


def plan(
  params: Any,
  *,
  size: int | None = None,
  bits: float | None = None,
  error: float | None = None,
  metric: Metric | None = None,
  moments: Mapping[str, Any] | None = None,
  pattern: str = '.*',
  methods: Sequence[str] = ('steps',),
  layout: str = 'jax',
  progress: Progress | None = None,
) -> Plan:
  """Chooses a quantizer for each array of a network that is trained already.

  Every array is quantized alone, from coarse to fine: its curve of bytes and
  errors. Where there is a metric, each array is then changed alone, to see what
  its errors do to it. The products of errors and these prices are added up over
  the arrays, and the sum is made least for the bytes. Since arrays interact and
  coders know more than frequencies, the network is made, written and measured,
  and what was foretold corrected, until the budget is met.

  Args:
    params: any tree of arrays.
    size: the most bytes of the file that `pack` writes.
    bits: instead: of the file for each weight of the arrays that are chosen
      for; the others come on top.
    error: instead: the most that the metric may give; the plan is for the
      smallest file that was found.
    metric: `params -> error`, least for the original: one less the mean cosine
      of embeddings, the relative error of outputs, a loss. It is called once
      for each array and a few times more. Without one the error is that of the
      weights, `|w' - w| / |w|`, squared and averaged over weights.
    moments: by path, from examples or from inputs made up: the second moments
      of what each kernel multiplies, as of `curvature.input_hessian`, or with
      those of the gradients of what comes out, as of `kronecker`. Errors are
      then those of a layer's outputs, or about those of the network, and steps
      are taken with feedback, see `gptq`; tables have finer steps for the rows
      that are more frequent.
    pattern: of the arrays to choose for: those that are floats with two or more
      axes and 1,024 entries.
    methods: to choose from: `'steps'`, `'linear'`, `'kmeans'`, `'gptq'` and
      `'adaround'` where there are moments, `'hqq'`, `'grid'` (NF4 and small
      floats).
    layout: where a kernel has its outputs: `'jax'` last, `'torch'` first.
    progress: goes through the paths of the arrays while their curves are taken,
      to show how far that is, such as `tqdm.tqdm` or `rich.progress.track`.

  Returns:
    A `Plan`; `plan.apply(params)` is what ships, with the moments again if
    there were any.

  Raises:
    ValueError: not exactly one of `size`, `bits`, `error`, or one that no plan
      meets; no array to choose for; an unknown method or layout.
  """
  if sum(x is not None for x in (size, bits, error)) != 1:
    raise ValueError(
      f'Give exactly one of size, bits and error, got {size=}, {bits=}, '
      f'{error=}.'
    )
  if layout not in ('jax', 'torch'):
    raise ValueError(f"layout is {layout!r}; it must be 'jax' or 'torch'.")
  chosen = _chosen(params, pattern)
  known = known_moments(moments)
  axis = -1 if layout == 'jax' else 0
  leaves = tree.by_name(params).items()
  others = sum(x.nbytes for path, x in leaves if path not in chosen)
  weights = sum(w.size for w in chosen.values())
  if bits is not None:
    size = int(bits * weights / 8) + others
  least = max(0, (size or 0) - others) / weights * _LEAST_SHARE
  curves = {}
  for path in (progress or iter)(list(chosen)):
    w, of = chosen[path], known.get(path, UNKNOWN)
    choices = candidates(w, methods, axis, of)
    curves[path] = curve(w, choices, of, least * w.size)
  priced = prices(params, curves, metric)
  search = _Search(params, curves, priced, metric, known, others)
  if size is not None:
    return _settle(search, 'size', size)
  return _settle(search, 'error', error)


def _chosen(params, pattern):
  """The arrays to choose for, by path."""
  found = {
    path: w
    for path, w in tree.by_name(params).items()
    if matches(pattern, path)
    and tree.is_float(w)
    and np.ndim(w) > 1
    and np.size(w) >= LEAST
  }
  if not found:
    raise ValueError(
      f'No array to choose for: of {", ".join(tree.paths(params))} none '
      f'matches {pattern!r} and is of floats, with two axes and {LEAST:,} '
      'entries.'
    )
  return found


class _Search(NamedTuple):
  params: Any
  curves: dict[str, Curve]
  prices: dict[str, float]
  metric: Metric | None
  moments: dict[str, Moments]
  others: int  # bytes of the arrays that are not chosen for

  def choose(self, worth: float) -> dict[str, int]:
    """The best choice of each array where a byte is worth so much error."""
    return {
      path: int(np.argmin(self.prices[path] * c.errors + worth * c.sizes))
      for path, c in self.curves.items()
    }

  def foretold(self, chosen: dict[str, int]) -> dict[str, float]:
    pairs = [(p, self.curves[p], i) for p, i in chosen.items()]
    error = sum(self.prices[p] * c.errors[i] for p, c, i in pairs)
    return {
      'size': sum(c.sizes[i] for _, c, i in pairs) + self.others,
      'error': error if self.metric else error**0.5,
    }

  def made(self, chosen: dict[str, int]) -> tuple[dict[str, Choice], Point]:
    """The network of some choices, measured."""
    choices = {p: self.curves[p].choices[i] for p, i in chosen.items()}
    encoded = Plan(choices, 0, 0.0).apply(self.params, self.moments)
    size = len(container.pack(encoded))
    shown = decode(encoded)
    if self.metric is None:
      error = weight_error(self.params, shown, self.prices)
    else:
      error = float(self.metric(shown))
    return choices, Point(size, error)

  def worths(self) -> np.ndarray:
    """What a byte may be worth, from almost nothing to almost everything."""
    slopes = [
      self.prices[p] * np.ptp(c.errors[j : j + 2]) / gap
      for p, c in self.curves.items()
      for j, gap in enumerate(np.abs(np.diff(c.sizes)))
      if gap
    ]
    slopes = [s for s in slopes if s > 0] or [1.0]
    return np.geomspace(min(slopes) / 1e3, max(slopes) * 1e3, _GRID)


def _settle(search, quantity, budget):
  """Makes networks until one is within the budget and near to it."""
  options = {}
  for worth in search.worths():
    chosen = search.choose(worth)
    options.setdefault(tuple(chosen.values()), chosen)
  told = [(search.foretold(chosen), chosen) for chosen in options.values()]
  ratio, tried = 1.0, {}
  aim = budget * (1 + _NEAR[quantity]) / 2
  for _ in range(_TRIES):
    within = [t for t in told if t[0][quantity] * ratio <= aim]
    if not within:
      within = [min(told, key=lambda t: t[0][quantity])]
    expected, chosen = max(within, key=lambda t: t[0][quantity])
    if tuple(chosen.values()) in tried:
      break
    choices, point = search.made(chosen)
    tried[tuple(chosen.values())] = choices, point
    measured = getattr(point, quantity)
    if _NEAR[quantity] * budget <= measured <= budget:
      break
    if expected[quantity] > 0 and measured > 0:
      ratio = measured / expected[quantity]
  good = [t for t in tried.values() if getattr(t[1], quantity) <= budget]
  points = tuple(sorted(point for _, point in tried.values()))
  if not good:
    least = min(getattr(p, quantity) for p in points)
    raise ValueError(
      f'No plan was found with {quantity} {budget:,}: the least was {least:,}. '
      'Allow more, or choose for more arrays.'
    )
  better = {'size': lambda t: t[1].error, 'error': lambda t: t[1].size}
  choices, point = min(good, key=better[quantity])
  return Plan(choices, point.size, point.error, points)

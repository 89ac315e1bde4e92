"""Bytes and errors of all steps of an array of which a few were rounded."""

from collections.abc import Callable, Sequence

import numpy as np

from jcompress.numerics.monotone import monotone_cubic
from jcompress.planning.choices import Choice

Row = tuple[Choice, float, float]  # bytes, error
_FINER = -3.0, -1.5  # octaves below the finest that is rounded
_BETWEEN = 48  # steps in an octave
_LOST = 0.9  # an error with which no coarser step is worth a try
_NONE = 1e-30


def ladder(
  choices: Sequence[Choice],
  measured: Callable[[Choice], Row],
  weights: int,
  finest: tuple[float, float],
  least: float = 0.0,
) -> list[Row]:
  """Rounds with one step after the other, and foretells those between.

  Where weights make up for the errors of others, what is rounded is further
  apart than the weights are, and bytes and errors with coarse steps cannot be
  told from the weights. But their logarithms are smooth in that of the step:
  two octaves apart they tell those between to a few percent. Steps that are
  finer than the first take a bit more for each weight and make a quarter of the
  error for each octave, as fine steps do.

  Args:
    choices: of one method, each with a step, from fine to coarse, the first of
      them no coarser than the weights; at least one.
    measured: rounds: gives a choice with its bytes and its relative error.
    weights: that are not zero.
    finest: step and bytes of the finest that is foretold, which is known.
    least: bytes; no step is tried that is coarser than one of fewer.

  References:
    Gish and Pierce, Asymptotically Efficient Quantizing, 1968.
  """
  rows = []
  for choice in choices:
    rows.append(measured(choice))
    if rows[-1][1] <= least or rows[-1][2] >= _LOST:
      break
  tried, sizes, errors = zip(*rows, strict=True)
  octaves = np.log2([c.settings['step'] for c in tried])
  below = np.log2(finest[0]) - octaves[0]
  if below < 0:
    between = np.array([x for x in _FINER if x > below + 1])
    finer = np.append(below, between)
    grown = np.append(finest[1], sizes[0] - between * weights / 8)
    sizes = np.concatenate([grown, sizes])
    errors = np.concatenate([errors[0] * 4**finer, errors])
    octaves = np.concatenate([octaves[0] + finer, octaves])
  span = octaves[-1] - octaves[0]
  at = np.linspace(octaves[0], octaves[-1], round(span * _BETWEEN) + 1)
  of = lambda y: np.exp(monotone_cubic(octaves, np.log(y), at))
  method, settings = tried[0]
  return [
    (Choice(method, {**settings, 'step': float(step)}), float(size), float(e))
    for step, size, e in zip(
      2.0**at, of(sizes), of(np.maximum(errors, _NONE)), strict=True
    )
  ]

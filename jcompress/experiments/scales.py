"""The axes of charts, and the round numbers beside them."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Scale(NamedTuple):
  """An axis.

  Attributes:
    low: where it begins.
    high: where it ends.
    ticks: the values that are labelled.
    label: what is measured, and its unit.
    is_log: equal steps are equal ratios.
    show: a value as text.
  """

  low: float
  high: float
  ticks: tuple[float, ...]
  label: str = ''
  is_log: bool = False
  show: Callable[[float], str] = '{:,g}'.format

  def share(self, value: float) -> float:
    """Where a value lies, from 0 to 1; those outside lie at the ends."""
    low, high = self.low, self.high
    value = min(max(value, low), high)
    if self.is_log:
      return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def linear(values: Iterable[float], label: str = '', most: int = 5) -> Scale:
  """An axis of round steps from zero, or from below it.

  Args:
    values: finite ones, that must lie on it.
    label: what they are.
    most: steps, at least 2.

  >>> linear([0.3, 8.4]).ticks
  (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
  """
  values = [0.0, *values]
  low, high = min(values), max(values)
  high = high if low < high else 1.0
  wanted = (high - low) / most
  power = 10.0 ** math.floor(math.log10(wanted))
  step = next(
    f * power
    for f in (1, 2, 2.5, 5, 10, 20)
    if _steps(low, high, f * power) <= most
  )
  first, count = math.floor(low / step + 1e-9), _steps(low, high, step)
  ticks = [round(step * (first + i), 12) for i in range(count + 1)]
  return Scale(ticks[0], ticks[-1], tuple(ticks), label)


def _steps(low, high, step):
  tiny = 1e-9  # a value that lies on a step but for its last bits
  return math.ceil(high / step - tiny) - math.floor(low / step + tiny)


def logarithmic(values: Iterable[float], label: str = '') -> Scale:
  """An axis of powers of ten.

  Args:
    values: positive ones, that must lie on it.
    label: what they are.

  >>> logarithmic([3, 250]).ticks
  (1.0, 10.0, 100.0, 1000.0)
  """
  powers = [math.log10(v) for v in values]
  low = math.floor(min(powers))
  high = max(low + 1, math.ceil(max(powers)))
  ticks = tuple(10.0**p for p in range(low, high + 1))
  return Scale(ticks[0], ticks[-1], ticks, label, True, _power)


def _power(value):
  """A power of ten; those far from one with their exponent."""
  exponent = round(math.log10(value))
  if -3 <= exponent <= 4:
    return f'{value:,g}'
  return '10' + str(exponent).translate(_RAISED)


_RAISED = str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹')


def until(high: float, label: str = '', most: int = 4) -> Scale:
  """An axis of round steps from zero, that ends where the values end.

  >>> until(341).ticks, until(341).high
  ((0.0, 100.0, 200.0, 300.0), 341)
  """
  ticks = [t for t in linear([high], label, most).ticks if t <= high]
  return Scale(0.0, high, tuple(ticks), label)

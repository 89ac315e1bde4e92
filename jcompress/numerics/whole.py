"""Checks of settings that are whole numbers."""

import operator
from typing import Any


def require_whole(
  name: str, value: Any, least: int, most: int | None = None
) -> None:
  """Raises a `ValueError` unless a setting is a whole number in a range.

  A float is refused even where it is whole: what is computed from it, such as
  a number of levels, would be a float, too.

  >>> require_whole('bits', 4.0, 2, 8)
  Traceback (most recent call last):
  ValueError: bits is 4.0; it must be a whole number, an int.
  >>> require_whole('bits', 9, 2, 8)
  Traceback (most recent call last):
  ValueError: bits is 9; it must lie in 2 .. 8.
  """
  try:
    operator.index(value)
    is_whole = not isinstance(value, bool)
  except TypeError:
    is_whole = False
  if not is_whole:
    raise ValueError(f'{name} is {value!r}; it must be a whole number, an int.')
  if most is None and value < least:
    raise ValueError(f'{name} is {value}; it must be at least {least}.')
  if most is not None and not least <= value <= most:
    raise ValueError(f'{name} is {value}; it must lie in {least} .. {most}.')

"""Patterns of leaf paths: regular expressions that match a whole path."""

import re

KERNELS = r'(?:.*/)?kernel'


def require_pattern(pattern: str) -> None:
  """Raises a `ValueError` unless a pattern is a regular expression."""
  if not isinstance(pattern, str):
    raise ValueError(
      f'The pattern is of type {type(pattern).__name__}; it must be a regular '
      f'expression that matches a whole path, such as {KERNELS!r}.'
    )
  try:
    re.compile(pattern)
  except re.error as error:
    raise ValueError(
      f'The pattern {pattern!r} is not a regular expression: {error}. It must '
      'match a whole path; any text is `.*`, so that the glob `*/kernel` is '
      "r'.*/kernel' here."
    ) from error


def matches(pattern: str, path: str) -> bool:
  """Whether a pattern matches a whole path, such as `fc1/kernel`.

  Raises:
    ValueError: the pattern is not a regular expression.
  """
  require_pattern(pattern)
  return re.fullmatch(pattern, path) is not None

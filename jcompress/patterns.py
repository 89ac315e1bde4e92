"""Leaf paths: patterns that match a whole one, and how a long one is shown."""

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


def natural(path: str) -> list[tuple[int, str]]:
  """A key by which paths are sorted as they are read, 2 before 10.

  >>> sorted(['conv10/kernel', 'conv2/kernel'], key=natural)
  ['conv2/kernel', 'conv10/kernel']
  """
  parts = re.split(r'(\d+)', path)
  return [(int(p), '') if i % 2 else (0, p) for i, p in enumerate(parts)]


def shortened(path: str, width: int) -> str:
  """A path in at most so many characters.

  Of all parts but the last, those in the middle first, it keeps the first
  letter and the digits; what is still too long loses its middle.

  >>> shortened('encoder/layer_11/attention/query/kernel', 30)
  'encoder/l11/a/query/kernel'
  >>> shortened('encoder/layer_11/attention/query/kernel', 16)
  'e/l11/a/q/kernel'
  """
  parts = path.split('/')
  for i in [*range(1, len(parts) - 1), 0][: len(parts) - 1]:
    if len('/'.join(parts)) > width:
      parts[i] = re.sub(r'(?<!^)\D', '', parts[i])
  path = '/'.join(parts)
  if len(path) <= width:
    return path
  tail = width // 2
  return f'{path[: width - 1 - tail]}…{path[len(path) - tail :]}'

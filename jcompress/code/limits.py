"""How much may be decoded: what a file says it holds, and no more.

Whatever reads entries of an array says first how many they are. Within
`at_most` more than allowed are refused before they exist, so that a few hostile
bytes cannot claim much memory.
"""

import contextlib
import contextvars
from collections.abc import Iterator

_TIMES = 16  # as often may entries be read on their way to an array


class _Left:
  """What is left of an allowance."""

  def __init__(self, most: int):
    self.most = most
    self.total = _TIMES * most


_LEFT: contextvars.ContextVar[_Left | None] = contextvars.ContextVar(
  'left', default=None
)


@contextlib.contextmanager
def at_most(entries: int) -> Iterator[None]:
  """Within it no array has more entries, and all together a few times those."""
  token = _LEFT.set(_Left(entries))
  try:
    yield
  finally:
    _LEFT.reset(token)


def spend(entries: int, what: str) -> None:
  """Refuses more entries than are allowed, by a `ValueError`."""
  left = _LEFT.get()
  if left is None:
    return
  left.total -= entries
  if entries > left.most or left.total < 0:
    raise ValueError(
      f'Damaged {what}: {entries} entries, where the file allows '
      f'{left.most}. If you trust the file, give a larger max_bytes.'
    )

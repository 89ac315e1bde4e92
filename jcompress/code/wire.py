"""A bounded cursor over bytes, and variable-length integers.

Whatever is read from a file goes through `Reader`, so that a length that lies
is a `ValueError` before anything of that length exists.
"""

from typing import Any

LIMIT = 1 << 62


def varint(value: int) -> bytes:
  """Writes an unsigned integer, seven bits a byte, low bits first (LEB128).

  >>> varint(300)
  b'\\xac\\x02'

  Raises:
    ValueError: it is negative, or 2^62 or more.
  """
  if not 0 <= value < LIMIT:
    raise ValueError(f'{value} is not in 0 .. 2^62 - 1: it has no varint.')
  out = bytearray()
  while value > 127:
    out.append(value & 127 | 128)
    value >>= 7
  out.append(value)
  return bytes(out)


def signed(value: int) -> bytes:
  """Writes any integer as a varint, small ones of both signs in few bytes.

  >>> signed(-3), signed(3)
  (b'\\x05', b'\\x06')

  Raises:
    ValueError: it is beyond 2^61.
  """
  return varint(2 * value if value >= 0 else -2 * value - 1)


def prefixed(data: bytes) -> bytes:
  """Writes bytes behind their length."""
  return varint(len(data)) + data


class Reader:
  """Reads a buffer (bytes, or a map of a file) and never beyond its end.

  Each method that finds too few bytes, or `end` too many, raises a `ValueError`
  that names `what`.
  """

  def __init__(self, data: Any, what: str):
    self.data = data
    self.what = what
    self.at = 0

  def left(self) -> int:
    return len(self.data) - self.at

  def take(self, size: int) -> bytes:
    if size > self.left():
      raise ValueError(
        f'Truncated {self.what}: {size} bytes wanted, {self.left()} left.'
      )
    self.at += size
    return self.data[self.at - size : self.at]

  def byte(self) -> int:
    return self.take(1)[0]

  def varint(self) -> int:
    value = 0
    for shift in range(0, 63, 7):
      part = self.byte()
      value |= (part & 127) << shift
      if part < 128:
        break
    else:
      part = 128
    if part > 127 or value >= LIMIT:
      raise ValueError(f'Damaged {self.what}: an integer beyond 2^62.')
    return value

  def signed(self) -> int:
    value = self.varint()
    return -(value + 1 >> 1) if value & 1 else value >> 1

  def prefixed(self) -> bytes:
    return self.take(self.varint())

  def rest(self) -> bytes:
    return self.take(self.left())

  def end(self) -> None:
    if self.left():
      raise ValueError(f'Damaged {self.what}: {self.left()} bytes too many.')

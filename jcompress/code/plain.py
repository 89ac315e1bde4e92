"""Plain values (`None`, bool, int, float, str, bytes, list, dict) as msgpack.

Writing accepts nothing else, so that what comes back is what went in. Reading
walks the input item by item: a container that claims more items than there are
bytes left is refused before it exists, and so are deep nesting, extension
types and repeated keys.
"""

from typing import Any

import msgpack

DEPTH = 64


def dumps(value: Any, what: str) -> bytes:
  """Writes a plain value.

  Args:
    value: dicts have `str` or `int` keys.
    what: names the value in errors.

  Raises:
    ValueError: the value is of another type, or too deep or too large.
  """
  _check(value, what, 0)
  try:
    return msgpack.packb(value)
  except (OverflowError, TypeError, UnicodeError, msgpack.PackException) as e:
    raise ValueError(f'{what} cannot be written: {e}.') from e


def loads(data: bytes, what: str) -> Any:
  """Reads what `dumps` wrote; anything else is a `ValueError`."""
  unpacker = msgpack.Unpacker(
    strict_map_key=False, max_buffer_size=max(1, len(data))
  )
  unpacker.feed(data)
  try:
    value = _read(unpacker, data, what, 0)
  except (ValueError, RecursionError, msgpack.UnpackException) as e:
    raise ValueError(f'Damaged {what}: {e or type(e).__name__}.') from e
  if unpacker.tell() != len(data):
    extra = len(data) - unpacker.tell()
    raise ValueError(f'Damaged {what}: {extra} bytes too many.')
  return value


def _check(value, what, depth):
  if depth > DEPTH:
    raise ValueError(f'{what} is nested deeper than {DEPTH}: flatten it.')
  if type(value) is dict:
    for key, item in value.items():
      if type(key) not in (str, int):
        raise ValueError(
          f'{what} has the key {key!r} of type {type(key).__name__}: keys must '
          'be str or int.'
        )
      _check(item, f'{what}[{key!r}]', depth + 1)
  elif type(value) is list:
    for i, item in enumerate(value):
      _check(item, f'{what}[{i}]', depth + 1)
  elif value is not None and type(value) not in (bool, int, float, str, bytes):
    raise ValueError(
      f'{what} is of type {type(value).__name__}: it must be None, bool, int, '
      'float, str, bytes, list or dict. Convert it, e.g. by float(x) or '
      'x.tolist().'
    )


def _read(unpacker, data, what, depth):
  if depth > DEPTH:
    raise ValueError(f'nested deeper than {DEPTH}')
  at = unpacker.tell()
  if at >= len(data):
    raise ValueError('it ends too early')
  kind = data[at]
  if 0x90 <= kind <= 0x9F or kind in (0xDC, 0xDD):
    size = unpacker.read_array_header()
    _check_count(size, unpacker, data)
    return [_read(unpacker, data, what, depth + 1) for _ in range(size)]
  if 0x80 <= kind <= 0x8F or kind in (0xDE, 0xDF):
    size = unpacker.read_map_header()
    _check_count(2 * size, unpacker, data)
    out = {}
    for _ in range(size):
      key = _read(unpacker, data, what, depth + 1)
      if type(key) not in (str, int) or key in out:
        raise ValueError(f'the key {key!r} is repeated or not str or int')
      out[key] = _read(unpacker, data, what, depth + 1)
    return out
  if 0xC7 <= kind <= 0xC9 or 0xD4 <= kind <= 0xD8:
    raise ValueError('an extension type')
  return unpacker.unpack()


def _check_count(size, unpacker, data):
  left = len(data) - unpacker.tell()
  if size > left:
    raise ValueError(f'{size} items claimed, {left} bytes left')

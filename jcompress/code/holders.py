"""Leaves that hold other leaves: how they become bytes.

A part holds no further ones, but for a layer, which may be `Scaled` or `Tied`:
so a file cannot nest them without end.
"""

from collections.abc import Callable
from typing import Any

from jcompress import encoded
from jcompress.code import fields, forms, plain, wire

Encode = Callable[[encoded.Encoded, str, str], bytes]
Decode = Callable[[bytes, str], encoded.Encoded]
_HOLDERS = ('Stacked', 'Scaled', 'Tied')


def encode_stacked(
  leaf: encoded.Stacked, coder: str, path: str, encode: Encode
) -> bytes:
  """Writes the axes, and the record of each layer behind its kind and length.

  Args:
    leaf: of layers.
    coder: see `streams.encode_stream`.
    path: of the leaf.
    encode: writes a layer.

  Raises:
    ValueError: what a file cannot hold; it names `path`.
  """
  forms.decoded_size(leaf, path)
  kinds = list(dict.fromkeys(type(part).__name__ for part in leaf.parts))
  head = [list(leaf.axes), list(leaf.sizes), kinds]
  body = wire.prefixed(plain.dumps(head, f'{path} axes'))
  for i, part in enumerate(leaf.parts):
    record = encode(part, coder, f'{path}, layer {i}')
    body += bytes([kinds.index(type(part).__name__)]) + wire.prefixed(record)
  return body


def decode_stacked(reader: wire.Reader, decode: Decode) -> encoded.Stacked:
  """Inverts `encode_stacked`; what it cannot have written is a `ValueError`."""
  head = plain.loads(reader.prefixed(), f'{reader.what} axes')
  if type(head) is not list or len(head) != 3:
    raise ValueError(f'Damaged {reader.what}: not axes, sizes and kinds.')
  axes, sizes, kinds = head
  numbers = [*axes, *sizes] if type(axes) is type(sizes) is list else [None]
  if any(type(n) is not int or n < 0 for n in numbers):
    raise ValueError(f'Damaged {reader.what}: {axes=}, {sizes=}.')
  if type(kinds) is not list or not set(map(type, kinds)) <= {str}:
    raise ValueError(f'Damaged {reader.what}: {kinds=}.')
  parts = []
  while reader.left():
    kind = reader.byte()
    if kind >= len(kinds) or kinds[kind] == 'Stacked':
      raise ValueError(f'Damaged {reader.what}: a layer of kind {kind}.')
    parts.append(decode(reader.prefixed(), kinds[kind]))
  leaf = fields.make(
    encoded.Stacked,
    reader.what,
    parts=tuple(parts),
    axes=tuple(axes),
    sizes=tuple(sizes),
  )
  forms.decoded_size(leaf, reader.what)
  return leaf


def encode_scaled(
  leaf: encoded.Scaled, coder: str, path: str, encode: Encode
) -> bytes:
  """Writes the factors, and the kind and the record of the part.

  Args:
    leaf: of a part that holds no others.
    coder: see `streams.encode_stream`.
    path: of the leaf.
    encode: writes the part.

  Raises:
    ValueError: what a file cannot hold; it names `path`.
  """
  return _encode_held(leaf, ['factor'], coder, path, encode)


def decode_scaled(reader: wire.Reader, decode: Decode) -> encoded.Scaled:
  """Inverts `encode_scaled`; what it cannot have written is a `ValueError`."""
  return _decode_held(reader, encoded.Scaled, ['factor'], decode)


def encode_tied(
  leaf: encoded.Tied, coder: str, path: str, encode: Encode
) -> bytes:
  """Writes how the part is expanded, and the kind and the record of the part.

  Args:
    leaf: of a part that holds no others.
    coder: see `streams.encode_stream`.
    path: of the leaf.
    encode: writes the part.

  Raises:
    ValueError: what a file cannot hold; it names `path`.
  """
  return _encode_held(leaf, [], coder, path, encode)


def decode_tied(reader: wire.Reader, decode: Decode) -> encoded.Tied:
  """Inverts `encode_tied`; what it cannot have written is a `ValueError`."""
  return _decode_held(reader, encoded.Tied, [], decode)


def _encode_held(leaf, names, coder, path, encode):
  """The fields of a leaf in front of the kind and the record of its part."""
  own, kind = type(leaf).__name__, type(leaf.part).__name__
  if kind in _HOLDERS:
    raise ValueError(f'{path} is {own} of {kind}: give its parts that instead.')
  forms.decoded_size(leaf, path)
  body = wire.prefixed(fields.write(leaf, names, coder, path))
  return body + wire.prefixed(kind.encode()) + encode(leaf.part, coder, path)


def _decode_held(reader, cls: Any, names: list[str], decode: Decode) -> Any:
  """A leaf with fields of its own in front of its part."""
  inner = wire.Reader(reader.prefixed(), reader.what)
  own = fields.read(inner, cls, names)
  inner.end()
  kind = reader.prefixed().decode(errors='replace')
  if kind in _HOLDERS:
    raise ValueError(f'Damaged {reader.what}: its part is {kind}.')
  part = decode(reader.rest(), kind)
  leaf: Any = fields.make(cls, reader.what, part=part, **own)
  forms.decoded_size(leaf, reader.what)
  return leaf

"""Files taken apart, changed, and put together with their checksums right."""

import hashlib
import zlib

import msgpack

from jcompress.code import frames, header, wire

FIXED = len(header.MAGIC) + 1


def parts(data):
  """The values of the header, and the records and padding behind it."""
  reader = wire.Reader(data[FIXED:], 'test')
  size, is_frame = divmod(reader.varint(), 2)
  head = wire.Reader(reader.take(size), 'test')
  length = head.varint() if is_frame else 0
  head = head.rest()
  if is_frame:
    head = frames.inflate(head, length, 'test', header.TYPICAL)
  reader.prefixed()
  reader.take(4)
  return msgpack.unpackb(head, strict_map_key=False), reader.rest()


def framed(head, sums=b''):
  """A file without records, of the bytes behind its version."""
  start = header.MAGIC + bytes([header.VERSION]) + head + wire.prefixed(sums)
  return start + zlib.crc32(start).to_bytes(4, 'little')


def signed(head, body):
  """Inverts `parts`, with right checksums of any header and records."""
  packed = msgpack.packb(head)
  leaves = head[2] if isinstance(head, list) and len(head) > 2 else []
  sums, at = b'', 0
  for leaf in leaves if isinstance(leaves, list) else []:
    if isinstance(leaf, list):
      size = leaf[1] if len(leaf) > 1 and isinstance(leaf[1], int) else 0
      sums += zlib.crc32(body[at : at + size]).to_bytes(4, 'little')
      at += size
  return framed(wire.varint(2 * len(packed)) + packed, sums) + body


def old_signed(body):
  """A file of the first version with its checksum made right."""
  return bytes(body) + hashlib.blake2b(body, digest_size=8).digest()


def places(node, path=()):
  """The path of each node of nested lists and dicts."""
  yield path
  if isinstance(node, list):
    for i, x in enumerate(node):
      yield from places(x, (*path, i))
  if isinstance(node, dict):
    for k, x in node.items():
      yield from places(x, (*path, k))


def put(node, path, value):
  """Nested lists and dicts with another value at a path."""
  if not path:
    return value
  node = list(node) if isinstance(node, list) else dict(node)
  node[path[0]] = put(node[path[0]], path[1:], value)
  return node


ODD = [-1, 0, 7, 2**31, 2**62, 2**64 - 1, 1.5, None, True, 'x', b'', [], {}]

"""Files taken apart and put together again, their checksums made right."""

import hashlib
import zlib

import msgpack

from jcompress.code import header, streams, wire

START = header.MAGIC + bytes([header.VERSION])


def parts_of(data):
  """The header, as plain values, and the bytes behind it."""
  reader = wire.Reader(data[len(START) :], 'test')
  size, is_frame = divmod(reader.varint(), 2)
  head = wire.Reader(reader.take(size), 'test')
  length = head.varint() if is_frame else 0
  head = streams.inflate(head.rest(), length, 'test') if length else head.rest()
  reader.take(header.CRC)
  return msgpack.unpackb(head, strict_map_key=False), reader.rest()


def build(head, body):
  """A file with this header; the checksums of its records stay wrong."""
  packed = msgpack.packb(head)
  return framed(wire.varint(2 * len(packed)) + packed) + body


def framed(head):
  """The beginning of a file around a header that is written already."""
  start = START + head
  return start + zlib.crc32(start).to_bytes(header.CRC, 'little')


def signed(head, body):
  """A file whose records have right checksums, too."""
  at = 0
  for leaf in head[2]:
    if isinstance(leaf, list):
      leaf[2] = zlib.crc32(body[at : at + leaf[1]])
      at += leaf[1]
  return build(head, body)


def old_signed(body):
  """A file of the first version."""
  return bytes(body) + hashlib.blake2b(body, digest_size=8).digest()

"""Reading what stands before the records of a file, see `header`."""

import hashlib
import zlib
from typing import Any

from jcompress.code import frames, heads, plain, structure, wire
from jcompress.code.header import (
  CRC,
  ENTRIES_A_BYTE,
  FREE_INFLATION,
  INFLATION,
  MAGIC,
  OLD,
  TYPICAL,
  UNKNOWN,
  VERSION,
  Entry,
  Header,
  padding,
)

_FREE_ENTRIES_OLD = 1 << 22
_INFLATION_OLD = 64
_DIGEST = 8


def read(data: Any) -> Header:
  """Reads the header of a file.

  Args:
    data: of the whole file: bytes, or a map of it.

  Raises:
    ValueError: it is not a file of this library, or its header is damaged; of
      versions 1 and 2: or anything in it.
  """
  if data[: len(MAGIC)] != MAGIC:
    raise ValueError(
      f'Not a jcompress file: it begins with {bytes(data[:8])!r}, not '
      f'{MAGIC!r}. Truncated, or changed by a transfer as text?'
    )
  reader = wire.Reader(data, 'file')
  reader.take(len(MAGIC))
  version = reader.byte()
  if not 1 <= version <= VERSION:
    raise ValueError(
      f'The file has version {version}, this jcompress reads up to {VERSION}: '
      'upgrade jcompress.'
    )
  if version in OLD:
    _check_digest(data)
  size, is_frame = divmod(reader.varint(), 2)
  header = reader.take(size)
  sums = reader.prefixed() if version > 3 else b''
  if version not in OLD:
    end = reader.at
    if zlib.crc32(data[:end]).to_bytes(CRC, 'little') != reader.take(CRC):
      raise ValueError(
        'Truncated or damaged file: the checksum of its header is wrong. '
        'Transfer it again.'
      )
  if is_frame:
    header = _unframe(header, version)
  return _parse(plain.loads(header, 'header'), version, sums, reader)


def within(header: Header, max_bytes: int) -> Header:
  """The header of a file that may hold so many bytes of arrays.

  Raises:
    ValueError: it says that it holds more.
  """
  if header.version in OLD:
    return header._replace(allowed=max_bytes)
  total = sum(e.bytes for e in header.entries)
  if total > max_bytes:
    raise ValueError(
      f'The file holds arrays of {total} bytes, more than '
      f'max_bytes={max_bytes}.'
    )
  return header


def _unframe(header, version):
  reader = wire.Reader(header, 'header')
  length, small = reader.varint(), reader.rest()
  times = _INFLATION_OLD if version in OLD else INFLATION
  if length > FREE_INFLATION + times * len(small):
    raise ValueError(f'Damaged header: {length} bytes in {len(small)}.')
  known = TYPICAL if version > 3 else b''
  return frames.inflate(small, length, 'header', known)


def _check_digest(data):
  with memoryview(data) as whole, whole[:-_DIGEST] as body:
    digest = hashlib.blake2b(body, digest_size=_DIGEST).digest()
  if digest != data[-_DIGEST:]:
    raise ValueError(
      f'Truncated, extended or damaged file: the checksum of its {len(data)} '
      'bytes is wrong. Transfer it again.'
    )


def _parse(header, version, sums, reader) -> Header:
  if type(header) is not list or len(header) not in (3, 4):
    raise ValueError('Damaged header: not tree, kinds, leaves, metadata.')
  tree, kinds, leaves, metadata = (header + [{}])[:4]
  if type(kinds) is not list or any(type(k) is not str for k in kinds):
    raise ValueError('Damaged header: the kinds are not a list of names.')
  if type(metadata) is not dict:
    raise ValueError('Damaged header: the metadata are not a dict.')
  if type(leaves) is not list or (version in OLD and len(leaves) % 2):
    raise ValueError('Damaged header: the leaves are not a list.')
  if version in OLD:
    leaves = list(map(list, zip(leaves[::2], leaves[1::2], strict=True)))
  if version > 3:
    _put_checksums(leaves, sums)
  entries: list[Entry] = []
  same: list[int] = []
  starts: list[int] = []
  at = reader.at
  for i, leaf in enumerate(leaves):
    if version not in OLD and type(leaf) is int and 0 <= leaf < i:
      k = same[leaf]
      entries.append(entries[k])
      same.append(k)
      starts.append(starts[k])
      continue
    entries.append(_entry(leaf, kinds, version))
    same.append(i)
    starts.append(at)
    at += entries[-1].size
  _check_end(version, entries, at, len(reader.data))
  structure.from_plain(tree, entries)
  if len({n for _, n in structure.leaf_paths(tree)}) != len(entries):
    raise ValueError('Damaged header: a record that no leaf has.')
  allowed = sum(e.entries for e in entries)
  if version in OLD:
    allowed = ENTRIES_A_BYTE * len(reader.data) + _FREE_ENTRIES_OLD
  return Header(
    version, tree, tuple(entries), tuple(same), tuple(starts), metadata, allowed
  )


def _put_checksums(leaves, sums):
  """Those of the records into their leaves, where version 3 has them."""
  listed = [leaf for leaf in leaves if type(leaf) is list]
  if len(sums) != CRC * len(listed):
    raise ValueError(
      f'Damaged header: {len(sums)} bytes of checksums, {len(listed)} records.'
    )
  for i, leaf in enumerate(listed):
    crc = int.from_bytes(sums[CRC * i : CRC * (i + 1)], 'little')
    leaf.insert(2, crc)


def _entry(leaf, kinds, version):
  least = 2 if version in OLD else 5
  if (
    type(leaf) is not list
    or len(leaf) < least
    or any(type(n) is not int or n < 0 for n in leaf)
    or leaf[0] >= len(kinds)
  ):
    raise ValueError(f'Damaged header: a leaf {leaf!r} of kinds {kinds}.')
  kind, size, *rest = leaf
  if version in OLD:
    return Entry(kinds[kind], size)
  crc, extra, dtype, *shape = rest
  if dtype > UNKNOWN or not heads.is_possible(shape):
    raise ValueError(f'Damaged header: dtype {dtype}, shape {shape}.')
  return Entry(kinds[kind], size, crc, extra, dtype, tuple(shape))


def _check_end(version, entries, end, length):
  """The records and the padding end where the file does."""
  if version in OLD:
    expected = end + _DIGEST
  else:
    expected = end + padding(entries, end)
  if expected != length:
    raise ValueError(
      f'Truncated, extended or damaged file: {length} bytes instead of '
      f'{expected}. Transfer it again.'
    )

"""The file: an encoded tree, metadata, nothing else.

    magic         8 bytes, as PNG's: found out at once if sent as text
    version       1 byte: 2 where leaves share a codebook, else 1
    header        varint (bytes * 2 + whether it is a zstd frame), bytes:
                  msgpack [tree, kinds, [kind, bytes of record, ...], metadata]
    records       one a distinct leaf, one after the other
    checksum      8 bytes of BLAKE2b over all before

Tied leaves have one record, and leaves of one codebook have its centers once.
There is no code in a file, and reading one never runs any: whatever its bytes,
the result is the tree or a `ValueError`.
"""

import hashlib
import os
from typing import Any, NamedTuple

from jcompress.code import plain, shared, streams, structure, ties, wire
from jcompress.code.atomic import replace_file

MAGIC = b'\x89JCZ\r\n\x1a\n'
VERSION, VERSION_SHARED = 1, 2
_DIGEST = 8


class Artifact(NamedTuple):
  """What a file holds.

  Attributes:
    tree: the encoded tree; `decode(tree)` gives the params.
    metadata: a dict of plain values, `{}` where none was given.
  """

  tree: Any
  metadata: dict[str, Any]


class Sizes(NamedTuple):
  """Where the bytes of a file go; the sum is its length.

  Attributes:
    paths: of the leaves, in the order of the tree; two may read alike, such as
      `a/b` of `{'a': {'b': ...}}` and of `{'a/b': ...}`.
    each: bytes of each; a tied leaf counts where it comes first, and 0 after.
    overhead: header, metadata and checksum.
  """

  paths: tuple[str, ...]
  each: tuple[int, ...]
  overhead: int

  @property
  def leaves(self) -> dict[str, int]:
    """Bytes by path, of leaves whose paths read alike together."""
    found = dict.fromkeys(self.paths, 0)
    for path, size in zip(self.paths, self.each, strict=True):
      found[path] += size
    return found


class _Parts(NamedTuple):
  tree: Any
  kinds: list[str]
  records: list[bytes]
  metadata: dict[str, Any]


def pack(tree: Any, *, metadata: Any = None, coder: str = 'auto') -> bytes:
  """Writes an encoded tree as bytes, the same for the same tree.

  Args:
    tree: nested dicts (keys str or int), lists and tuples of encoded leaves;
      arrays are taken as `Dense`, PRNG keys as `Key`.
    metadata: nested dicts and lists of None, bool, int, float, str, bytes.
    coder: 'auto' takes for each stream the smallest, its table included;
      'raw', 'huffman', 'zstd' or 'ans' insist on one.

  Raises:
    ValueError: NaN or inf in a leaf that is not `Dense`, or anything that a
      file cannot hold; it names the path.
  """
  streams.check_coder(coder)
  metadata = {} if metadata is None else metadata
  if type(metadata) is not dict:
    raise ValueError(
      f'metadata is of type {type(metadata).__name__}: it must be a dict.'
    )
  records = ties.Records(coder)
  plan = structure.to_plain(tree, records.put)
  kinds = list(dict.fromkeys(kind for kind, _ in records.all))
  table = [x for kind, r in records.all for x in (kinds.index(kind), len(r))]
  header = plain.dumps(
    [plan, kinds, table] + ([metadata] if metadata else []), 'metadata'
  )
  version = VERSION_SHARED if records.shares_centers else VERSION
  parts = [MAGIC, bytes([version]), _frame(header)]
  body = b''.join(parts + [record for _, record in records.all])
  return body + _checksum(body)


def unpack(data: bytes) -> Artifact:
  """Inverts `pack`; equal leaves come back as one object.

  Raises:
    ValueError: the bytes are not a whole, undamaged file; it says what is
      wrong.
  """
  parts = _read(data)
  leaves = shared.decode(parts.records, parts.kinds)
  return Artifact(structure.from_plain(parts.tree, leaves), parts.metadata)


def save(
  path: str | os.PathLike[str],
  tree: Any,
  *,
  metadata: dict[str, Any] | None = None,
  coder: str = 'auto',
) -> int:
  """Packs into a file, whole or not at all; gives its length in bytes.

  Raises:
    ValueError: what `pack` refuses.
    OSError: the file cannot be written; an older one of its name is kept.
  """
  data = pack(tree, metadata=metadata, coder=coder)
  replace_file(path, lambda temporary: temporary.write_bytes(data))
  return len(data)


def load(path: str | os.PathLike[str]) -> Artifact:
  """Unpacks a file.

  Raises:
    ValueError: it is not a whole, undamaged file, see `unpack`.
    OSError: it cannot be read.
  """
  with open(path, 'rb') as f:
    return unpack(f.read())


def sizes(data: bytes) -> Sizes:
  """Bytes of each leaf in packed data.

  Raises:
    ValueError: the frame, the checksum or the header is damaged.
  """
  parts = _read(data)
  paths, each = [], []
  seen: set[int] = set()
  for path, number in structure.leaf_paths(parts.tree):
    paths.append(path)
    each.append(0 if number in seen else len(parts.records[number]))
    seen.add(number)
  return Sizes(tuple(paths), tuple(each), len(data) - sum(each))


def _frame(header):
  small = streams.deflate(header)
  record = wire.varint(len(header)) + small
  if len(record) < len(header):
    return wire.varint(2 * len(record) + 1) + record
  return wire.varint(2 * len(header)) + header


def _checksum(body):
  return hashlib.blake2b(body, digest_size=_DIGEST).digest()


def _read(data) -> _Parts:
  data = bytes(data)
  if data[: len(MAGIC)] != MAGIC:
    raise ValueError(
      f'Not a jcompress file: it begins with {data[:8]!r}, not {MAGIC!r}. '
      'Truncated, or changed by a transfer as text?'
    )
  reader = wire.Reader(data[: max(len(MAGIC), len(data) - _DIGEST)], 'file')
  reader.take(len(MAGIC))
  version = reader.byte()
  if version not in (VERSION, VERSION_SHARED):
    raise ValueError(
      f'The file has version {version}, this jcompress reads {VERSION} and '
      f'{VERSION_SHARED}: upgrade jcompress.'
    )
  if _checksum(reader.data) != data[-_DIGEST:]:
    raise ValueError(
      f'Truncated, extended or damaged file: the checksum of its {len(data)} '
      'bytes is wrong. Transfer it again.'
    )
  size = reader.varint()
  header = reader.take(size >> 1)
  if size & 1:
    inner = wire.Reader(header, 'header')
    length = inner.varint()
    header = streams.inflate(inner.rest(), length, 'header')
  return _parse(plain.loads(header, 'header'), reader)


def _parse(header, reader) -> _Parts:
  if type(header) is not list or len(header) not in (3, 4):
    raise ValueError('Damaged header: not tree, kinds, records, metadata.')
  tree, names, table, metadata = (header + [{}])[:4]
  if type(names) is not list or any(type(n) is not str for n in names):
    raise ValueError('Damaged header: the kinds are not a list of names.')
  if type(table) is not list or len(table) % 2:
    raise ValueError('Damaged header: the records are not pairs.')
  if type(metadata) is not dict:
    raise ValueError('Damaged header: the metadata are not a dict.')
  kinds, records = [], []
  for kind, size in zip(table[::2], table[1::2], strict=True):
    if type(kind) is not int or not 0 <= kind < len(names):
      raise ValueError(f'Damaged header: kind {kind!r} of {len(names)}.')
    if type(size) is not int or size < 0:
      raise ValueError(f'Damaged header: a record of {size!r} bytes.')
    kinds.append(names[kind])
    records.append(reader.take(size))
  reader.end()
  structure.from_plain(tree, records)
  used = {number for _, number in structure.leaf_paths(tree)}
  if len(used) != len(records):
    raise ValueError('Damaged header: a record that no leaf has.')
  return _Parts(tree, kinds, records, metadata)

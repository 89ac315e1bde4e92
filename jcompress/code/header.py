"""What stands before the records of a file, in each version of the layout.

Version 4, the one that is written:

    magic         8 bytes, as PNG's: found out at once if sent as text
    version       1 byte
    header        varint (bytes * 2 + whether it is a zstd frame), bytes:
                  msgpack [tree, kinds, leaves, metadata]
    checksums     varint (bytes), CRC-32 of each record, 4 bytes each
    checksum      CRC-32 of all before, 4 bytes, low ones first
    records       one a leaf, one after the other
    padding       zeros, in files that say they hold much in few bytes

`leaves` has for each leaf `[kind, bytes, extra, dtype, *shape]`: the kind and
the dtype by number, the shape it decodes to, and how many entries more the
largest of its arrays has. A number `k` in its place stands for another leaf
with the bytes of leaf `k`. So a leaf can be listed without being decoded,
decoded alone, and a flipped bit is laid at its door.

Version 3 has the CRC-32 of a record in `leaves`, behind its bytes, and a frame
that does not know `TYPICAL`. Versions 1 and 2 (leaves share codebooks) have
`[kind, bytes, ...]` instead and one BLAKE2b checksum of 8 bytes at the end of
the file.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from jcompress.code import frames, heads, plain, wire

MAGIC = b'\x89JCZ\r\n\x1a\n'
VERSION = 4
OLD = 1, 2  # one checksum for all
ENTRIES_A_BYTE = 1 << 12
FREE_ENTRIES = 1 << 20
INFLATION, FREE_INFLATION = 16, 1 << 16  # of bytes of the header
CRC = 4
UNKNOWN = len(heads.DTYPES)  # a dtype that only the leaf itself knows

# What a frame of version 4 may refer to, always the same: the header of a small
# network, for its names.
_LAYERS = 'conv1', 'conv2', 'fc1', 'fc2', 'fc3', 'Conv_0', 'Dense_0'
_PARAMS: dict[str, Any] = {
  name: {'bias': 2 * i, 'kernel': 2 * i + 1} for i, name in enumerate(_LAYERS)
}
TYPICAL = plain.dumps(
  [
    {
      'params': _PARAMS | {'BatchNorm_0': {'bias': 14, 'scale': 15}},
      'batch_stats': {'BatchNorm_0': {'mean': 16, 'var': 17}},
      'LayerNorm_0': 18,
      'embedding': 19,
    },
    ['Codebook', 'Dense', 'Quantized', 'Sparse'],
    [[0, 10, 0, 11, 20]],
    {
      'recipe': '',
      'seed': 0,
      'task': 'image_classification',
      'data': '',
      'model': {'name': '', 'options': {}},
    },
  ],
  'header',
)


class Entry(NamedTuple):
  """What the header says of a leaf.

  Attributes:
    kind: name of its class.
    size: bytes of its record.
    crc: of its record.
    extra: entries that its largest array has beyond those of the shape.
    dtype: of the decoded array, as a number; `UNKNOWN` for keys.
    shape: of the decoded array; `None` in files of versions 1 and 2.
  """

  kind: str
  size: int
  crc: int = 0
  extra: int = 0
  dtype: int = UNKNOWN
  shape: tuple[int, ...] | None = None

  @property
  def entries(self) -> int:
    return math.prod(self.shape or ()) + self.extra

  @property
  def bytes(self) -> int:
    """Bytes of the array that it decodes to; entries of several bytes each."""
    known = self.dtype < UNKNOWN
    return self.entries * (
      jnp.dtype(heads.DTYPES[self.dtype]).itemsize if known else 16
    )


class Header(NamedTuple):
  """What a file says of itself.

  Attributes:
    version: of the layout.
    tree: as plain values, the numbers of leaves in it.
    entries: what is known of each leaf.
    same: for each leaf the number of the one whose record it has.
    starts: where the record of each leaf begins.
    metadata: plain values.
    allowed: entries that may be decoded altogether.
  """

  version: int
  tree: Any
  entries: tuple[Entry, ...]
  same: tuple[int, ...]
  starts: tuple[int, ...]
  metadata: dict[str, Any]
  allowed: int


def write(
  tree: Any,
  entries: Sequence[Entry],
  same: Sequence[int],
  metadata: dict[str, Any],
) -> bytes:
  """The bytes before the records.

  Raises:
    ValueError: metadata that are not plain values.
  """
  kinds = list(dict.fromkeys(e.kind for e in entries))
  leaves: list[Any] = []
  sums = b''
  for i, (e, k) in enumerate(zip(entries, same, strict=True)):
    if k < i:
      leaves.append(k)
      continue
    kind = kinds.index(e.kind)
    leaves.append([kind, e.size, e.extra, e.dtype, *(e.shape or ())])
    sums += e.crc.to_bytes(CRC, 'little')
  parts = [tree, kinds, leaves] + ([metadata] if metadata else [])
  head = MAGIC + bytes([VERSION]) + _frame(plain.dumps(parts, 'metadata'))
  head += wire.prefixed(sums)
  return head + zlib.crc32(head).to_bytes(CRC, 'little')


def padding(entries: Sequence[Entry], size: int) -> int:
  """Zeros to write after `size` bytes of header and records."""
  total = sum(e.entries for e in entries) - FREE_ENTRIES
  return max(0, -(-total // ENTRIES_A_BYTE) - size)


def _frame(header):
  small = frames.deflate(header, known=TYPICAL)
  record = wire.varint(len(header)) + small
  if len(record) < len(header) <= FREE_INFLATION + INFLATION * len(small):
    return wire.varint(2 * len(record) + 1) + record
  return wire.varint(2 * len(header)) + header

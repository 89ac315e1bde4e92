"""Codebooks that several leaves share: written once, by the first of them.

The record of a `Codebook` leaf begins with its layout and its centers, behind
their length. A leaf with the centers of an earlier one has the length 0 there
and the number of that one's record: two or three bytes for a codebook.
"""

from collections.abc import Callable

from jcompress.code import layouts, wire

_NONE = b'\0'


def centers_of(record: bytes, kind: str) -> bytes:
  """The centers in a record, with their length; empty if it has none."""
  if (
    kind != 'Codebook'
    or not record
    or record[0] not in layouts.CODEBOOK.values()
  ):
    return b''
  return wire.prefixed(wire.Reader(record[1:], 'Codebook leaf').prefixed())


def without_centers(record: bytes, centers: bytes, number: int) -> bytes:
  """The record of a leaf whose centers are in an earlier record."""
  return record[:1] + _NONE + wire.varint(number) + record[1 + len(centers) :]


def with_centers(
  record: bytes, kind: str, earlier: Callable[[int], tuple[bytes, str]]
) -> tuple[bytes, int | None]:
  """Inverts `without_centers`; other records are given back as they are.

  Args:
    record: of a leaf.
    kind: of the leaf.
    earlier: gives record and kind of an earlier leaf by its number.

  Returns:
    The whole record, and which earlier leaf has its centers, if one has.

  Raises:
    ValueError: it names a leaf that is not earlier or has no centers.
  """
  if centers_of(record, kind) != _NONE:
    return record, None
  reader = wire.Reader(record[2:], 'Codebook leaf')
  number = reader.varint()
  try:
    centers = centers_of(*earlier(number))
  except IndexError:
    centers = b''
  if centers in (b'', _NONE):
    raise ValueError(
      f'Damaged Codebook leaf: its centers are said to be in record {number}.'
    )
  return record[:1] + centers + reader.rest(), number

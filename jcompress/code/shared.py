"""Codebooks that several leaves share: written once, by the first of them.

The record of a `Codebook` leaf begins with its layout and its centers, behind
their length. A leaf with the centers of an earlier one has the length 0 there
and the number of that one's record: two or three bytes for a codebook.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

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


def decode(records: Sequence[bytes], kinds: Sequence[str]) -> list[Any]:
  """Reads the leaves of a file; those that share centers get one array.

  Raises:
    ValueError: a record is damaged, or names one that has no centers.
  """
  leaves: list[Any] = []
  centers: list[bytes] = []
  for record, kind in zip(records, kinds, strict=True):
    mine = centers_of(record, kind)
    if mine != _NONE:
      centers.append(mine)
      leaves.append(layouts.decode(record, kind))
      continue
    reader = wire.Reader(record[2:], 'Codebook leaf')
    number = reader.varint()
    if number >= len(leaves) or not centers[number]:
      raise ValueError(
        f'Damaged Codebook leaf: its centers are said to be in record {number}.'
      )
    # Written out again for the checks, and dropped for the array of the first.
    whole = record[:1] + centers[number] + reader.rest()
    leaf: Any = layouts.decode(whole, kind)
    leaf = dataclasses.replace(leaf, centers=leaves[number].centers)
    leaves.append(leaf)
    centers.append(centers[number])
  return leaves

"""The leaves that a file stores, by their numbers."""

import zlib
from typing import Any

from jcompress.code import (
  forms,
  header_reader,
  heads,
  layouts,
  limits,
  shared,
  structure,
)
from jcompress.code.header import OLD, UNKNOWN
from jcompress.encoded import Encoded


class Stored:
  """Reads the records of a file, each only when it is asked for.

  Attributes:
    data: bytes of the file, or a map of it.
    header: what the file says of itself.
    paths: path and number of each leaf of the tree, in its order.
    is_old: whether its layout is of version 1 or 2.
  """

  def __init__(self, data: Any, max_bytes: int | None = None):
    self.data = data
    self.header = header_reader.read(data)
    if max_bytes is not None:
      self.header = header_reader.within(self.header, max_bytes)
    self.paths = structure.leaf_paths(self.header.tree)
    self.is_old = self.header.version in OLD

  def leaf(self, number: int) -> Encoded:
    """Reads a leaf, within what the header allows.

    Raises:
      ValueError: it is damaged; it says which.
    """
    allowed = self.header.allowed
    if not self.is_old:
      allowed = self.header.entries[number].entries
    with limits.at_most(allowed):
      return self.decode(number)

  def decode(self, number: int) -> Encoded:
    """Reads a leaf, within the limits that are set; see `leaf`."""
    entry = self.header.entries[number]
    try:
      record = self.record(number)[0]
      leaf = layouts.decode(record, entry.kind, entry.shape)
      form = forms.decoded_form(leaf, entry.kind)
    except ValueError as e:
      raise ValueError(f'{self.name(number)}: {e}') from e
    if entry.shape is not None and form is not None:
      dtype = getattr(form.dtype, 'name', '')
      known = entry.dtype < UNKNOWN
      if form.shape != entry.shape or (
        known and dtype != heads.DTYPES[entry.dtype]
      ):
        raise ValueError(
          f'{self.name(number)} is said to be {entry.shape} and is '
          f'{dtype}{form.shape}: the file is damaged.'
        )
    return leaf

  def record(self, number: int) -> tuple[bytes, int | None]:
    """The whole record of a leaf, and which other leaf has its centers."""

    def earlier(k):
      if k >= number:
        raise IndexError
      return self.bytes_of(k), self.header.entries[k].kind

    kind = self.header.entries[number].kind
    return shared.with_centers(self.bytes_of(number), kind, earlier)

  def bytes_of(self, number: int) -> bytes:
    """What is stored of a leaf.

    Raises:
      ValueError: its checksum is wrong.
    """
    entry, start = self.header.entries[number], self.header.starts[number]
    record = self.data[start : start + entry.size]
    if not self.is_old and zlib.crc32(record) != entry.crc:
      raise ValueError(
        f'{self.name(number)} is damaged: the checksum of its bytes is wrong. '
        'Transfer the file again.'
      )
    return record

  def name(self, number: int) -> str:
    """The first path of a leaf."""
    return next(p for p, n in self.paths if n == number) or 'The leaf'

"""The records of a file as they are written, one for each distinct content.

Tied are leaves of the same arrays: they are one leaf in the file, and come back
as one. Leaves of equal content share the bytes, and come back as two. Leaves of
one codebook but other codes share that, see `shared`.
"""

import hashlib
import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jcompress import encoded, tree
from jcompress.code import forms, heads, layouts, shared
from jcompress.code.header import UNKNOWN, Entry


class Records:
  """Writes the records of leaves.

  Attributes:
    entries: what the header says of each leaf, in the order of their numbers.
    same: for each leaf the number of the one whose record it has.
  """

  def __init__(self, coder: str, write: Callable[[bytes], Any]):
    self.entries: list[Entry] = []
    self.same: list[int] = []
    self._coder = coder
    self._write = write
    self._by_content: dict[tuple[str, Any, bytes], int] = {}
    self._by_centers: dict[bytes, int] = {}
    # With the leaves, so that no later array can get the id of one of theirs.
    self._by_identity: dict[object, tuple[int, encoded.Encoded]] = {}

  def put(self, leaf: encoded.Encoded, path: str) -> int:
    """Writes a leaf, unless it is tied to an earlier one; gives its number.

    Raises:
      ValueError: a leaf that a file cannot hold; it names `path`.
    """
    same = encoded.identity(leaf)
    if same not in self._by_identity:
      self._by_identity[same] = self.add(leaf, path), leaf
    return self._by_identity[same][0]

  def add(self, leaf: encoded.Encoded, path: str) -> int:
    """Writes a leaf that is tied to none; gives its number.

    Raises:
      ValueError: a leaf that a file cannot hold; it names `path`.
    """
    leaf = jax.tree.map(tree.native, encoded.unpacked(leaf))
    kind, path = type(leaf).__name__, path or 'The leaf'
    form = _form(leaf, path)
    record = layouts.encode(leaf, self._coder, path, form[-1])
    content = kind, form, hashlib.blake2b(record, digest_size=16).digest()
    number = len(self.entries)
    first = self._by_content.setdefault(content, number)
    if first == number:
      record = self._shortened(record, kind, number)
      crc = zlib.crc32(record)
      self.entries.append(Entry(kind, len(record), crc, *form))
      self._write(record)
    else:
      self.entries.append(self.entries[first])
    self.same.append(first)
    return number

  def _shortened(self, record, kind, number):
    centers = shared.centers_of(record, kind)
    if not centers:
      return record
    first = self._by_centers.setdefault(centers, number)
    if first == number:
      return record
    return shared.without_centers(record, centers, first)


def _form(leaf, path):
  """Extra entries, number of the dtype, and shape, see `header.Entry`."""
  form = forms.decoded_form(leaf, path)
  if form is None:
    form = leaf.decode()
  name = getattr(form.dtype, 'name', '')
  dtype = heads.DTYPES.index(name) if name in heads.DTYPES else UNKNOWN
  largest = max(map(np.size, jax.tree.leaves(leaf)), default=0)
  return max(0, largest - form.size), dtype, tuple(form.shape)

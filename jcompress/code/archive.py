"""An opened file: its leaves are listed at once and decoded one by one."""

import builtins
import concurrent.futures
import dataclasses
import mmap
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp

from jcompress.code import forms, heads, limits, structure
from jcompress.code.header import MAGIC, UNKNOWN
from jcompress.code.stored import Stored
from jcompress.encoded import Encoded

_THREADED = 1 << 20  # entries for which threads pay


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
    overhead: header, metadata and checksums.
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


class Listed(NamedTuple):
  """A leaf as the header lists it.

  Attributes:
    path: in the tree.
    kind: of the encoded leaf, such as `Codebook`.
    shape: of the array it decodes to.
    dtype: of that array; `None` for keys.
    size: bytes in the file; 0 where another leaf before it has them.
  """

  path: str
  kind: str
  shape: tuple[int, ...]
  dtype: Any
  size: int


class File:
  """A file that is read leaf by leaf; a context manager that closes it.

      with jc.open('net.jcz') as file:
        for leaf in file.leaves:
          print(leaf.path, leaf.shape, leaf.size)
        kernel = file['fc1/kernel'].decode()

  Attributes:
    metadata: a dict of plain values.
  """

  def __init__(self, data: Any, max_bytes: int | None = None):
    self._stored = Stored(data, max_bytes)
    self.metadata = self._stored.header.metadata
    self._numbers: dict[str, int | None] = {}
    for path, number in self._stored.paths:
      again = path in self._numbers and self._numbers[path] != number
      self._numbers[path] = None if again else number

  def __enter__(self) -> 'File':
    return self

  def __exit__(self, *_: Any) -> None:
    self.close()

  def close(self) -> None:
    if isinstance(self._stored.data, mmap.mmap):
      self._stored.data.close()

  @property
  def leaves(self) -> tuple[Listed, ...]:
    """The leaves in the order of the tree; none is decoded.

    (In files of versions 1 and 2 each is, to see its shape.)
    """
    found = []
    sizes = self.sizes.each
    for (path, number), size in zip(self._stored.paths, sizes, strict=True):
      entry = self._stored.header.entries[number]
      shape, dtype = entry.shape, None
      if shape is None:
        form: Any = forms.decoded_form(self._stored.leaf(number), path)
        shape, dtype = form.shape, form.dtype
      elif entry.dtype < UNKNOWN:
        dtype = jnp.dtype(heads.DTYPES[entry.dtype])
      found.append(Listed(path, entry.kind, shape, dtype, size))
    return tuple(found)

  @property
  def sizes(self) -> Sizes:
    """Bytes of each leaf."""
    header, each = self._stored.header, []
    seen: set[int] = set()
    for _, number in self._stored.paths:
      first = header.same[number]
      each.append(0 if first in seen else header.entries[number].size)
      seen.add(first)
    paths = tuple(path for path, _ in self._stored.paths)
    return Sizes(paths, tuple(each), len(self._stored.data) - sum(each))

  def __getitem__(self, path: str) -> Encoded:
    """Reads one leaf, still encoded, and checks its bytes.

    Raises:
      ValueError: no leaf or two leaves have this path, or it is damaged.
    """
    number = self._numbers.get(path)
    if number is None:
      what = 'two leaves are called' if path in self._numbers else 'no leaf is'
      raise ValueError(
        f'{what} {path!r}; the leaves are {", ".join(self._numbers)}.'
      )
    return self._stored.leaf(number)

  def items(self) -> Iterator[tuple[str, Encoded]]:
    """Reads leaf after leaf, each with its path; keeps none."""
    for path, number in self._stored.paths:
      yield path, self._stored.leaf(number)

  def tree(self) -> Any:
    """Reads the whole encoded tree, large ones on several threads.

    Raises:
      ValueError: a leaf is damaged; it says which.
    """
    stored, header = self._stored, self._stored.header
    numbers = range(len(header.entries))
    for number in numbers:  # before anything is decoded
      stored.bytes_of(number)
    if stored.is_old:
      with limits.at_most(header.allowed):
        leaves = list(map(stored.decode, numbers))
    elif header.allowed < _THREADED:
      leaves = list(map(stored.leaf, numbers))
    else:
      with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        leaves = list(pool.map(stored.leaf, numbers))
    for number in numbers:
      first = stored.record(number)[1]
      if first is None and header.same[number] != number:
        first = header.same[number]
      if first is not None and hasattr(leaves[number], 'centers'):
        one: Any = leaves[first]
        two: Any = leaves[number]
        leaves[number] = dataclasses.replace(two, centers=one.centers)
    return structure.from_plain(header.tree, leaves)


def open(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> File:
  """Opens a file without reading more of it than its header.

  The file is mapped into memory. Use it in a `with` block, or close it.

  Args:
    path: of the file.
    max_bytes: the most that its arrays may be decoded to, altogether. Default:
      what the header says, which the length of the file bounds.

  Raises:
    ValueError: it is not a file of this library, its header is damaged, or it
      holds more than `max_bytes`.
    OSError: it cannot be read.
  """
  with builtins.open(path, 'rb') as f:
    start = f.read(len(MAGIC))
    if start != MAGIC:
      return File(start)
    data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
  try:
    return File(data, max_bytes)
  except ValueError:
    data.close()
    raise


def unpack(data: bytes, *, max_bytes: int | None = None) -> Artifact:
  """Inverts `pack`; leaves that were tied come back as one object.

  Args:
    data: of a file.
    max_bytes: see `open`.

  Raises:
    ValueError: the bytes are not a whole, undamaged file; it says what is
      wrong.
  """
  file = File(bytes(data), max_bytes)
  return Artifact(file.tree(), file.metadata)


def load(
  path: str | os.PathLike[str], *, max_bytes: int | None = None
) -> Artifact:
  """Unpacks a file.

  Args:
    path: of the file.
    max_bytes: see `open`.

  Raises:
    ValueError: it is not a whole, undamaged file, see `unpack`.
    OSError: it cannot be read.
  """
  with open(path, max_bytes=max_bytes) as file:
    return Artifact(file.tree(), file.metadata)


def sizes(data: bytes) -> Sizes:
  """Bytes of each leaf in packed data.

  Raises:
    ValueError: the header is damaged.
  """
  return File(data).sizes

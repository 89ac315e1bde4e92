"""Writing the file: an encoded tree, metadata, nothing else.

See `header` for its layout and `archive` for the way back. There is no code in
a file, and reading one never runs any: whatever its bytes, the result is the
tree or a `ValueError`.
"""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from jcompress.code import header, streams, structure, ties
from jcompress.code.atomic import replace_file

_IN_MEMORY = 1 << 26


def pack(tree: Any, *, metadata: Any = None, coder: str = 'auto') -> bytes:
  """Writes an encoded tree as bytes, the same for the same tree.

  Args:
    tree: nested dicts (keys str or int), lists and tuples of encoded leaves;
      arrays are taken as `Dense`, PRNG keys as `Key`.
    metadata: nested dicts and lists of None, bool, int, float, str, bytes.
    coder: 'auto' takes for each stream the smallest, its table included;
      'raw', 'huffman', 'zstd', 'ans' or 'context' insist on one, 'fast' on what
      is read fastest.

  Raises:
    ValueError: NaN or inf in a leaf that is not `Dense`, or anything that a
      file cannot hold; it names the path.
  """
  out, records = io.BytesIO(), io.BytesIO()
  writer = ties.Records(_checked(coder), records.write)
  plan = structure.to_plain(tree, writer.put)
  _finish(out, records, plan, writer, _checked_metadata(metadata))
  return out.getvalue()


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
  metadata = _checked_metadata(metadata)
  with tempfile.SpooledTemporaryFile(_IN_MEMORY) as records:
    writer = ties.Records(_checked(coder), records.write)
    plan = structure.to_plain(tree, writer.put)
    return _replace(path, records, plan, writer, metadata)


class Writer:
  """A file that is written leaf by leaf, see `create`."""

  def __init__(self, records: ties.Records):
    self._records = records
    self.tree: dict[str | int, Any] = {}

  def put(self, path: str | Sequence[str | int], leaf: Any) -> None:
    """Writes one leaf; the caller may forget it then.

    Args:
      path: the keys of the dicts around it, as a sequence or with '/' between.
      leaf: an encoded leaf, or an array.

    Raises:
      ValueError: a leaf that a file cannot hold, or its place is taken.
    """
    keys = path.split('/') if isinstance(path, str) else list(path)
    node, name = self.tree, '/'.join(map(str, keys))
    structure.check_keys(keys, name)
    for key in keys[:-1]:
      node = node.setdefault(key, {})
      if type(node) is not dict:
        break
    if not keys or type(node) is not dict or keys[-1] in node:
      raise ValueError(f'{name!r} is written, or a leaf above it, or no path.')
    node[keys[-1]] = structure.to_plain(leaf, self._records.add, name)


@contextlib.contextmanager
def create(
  path: str | os.PathLike[str],
  *,
  metadata: dict[str, Any] | None = None,
  coder: str = 'auto',
) -> Iterator[Writer]:
  """Writes a file of nested dicts leaf by leaf: trees larger than memory.

  The file is there, whole, when the block ends without an error.

      with jc.create('net.jcz') as file:
        for name, kernel in read_one_by_one():
          file.put(name, jc.compress({'kernel': kernel}, bits=4)['kernel'])

  Args:
    path: of the file.
    metadata: see `pack`.
    coder: see `pack`.

  Raises:
    ValueError: what `pack` refuses.
    OSError: the file cannot be written; an older one of its name is kept.
  """
  metadata = _checked_metadata(metadata)
  with tempfile.SpooledTemporaryFile(_IN_MEMORY) as records:
    inner = ties.Records(_checked(coder), records.write)
    writer = Writer(inner)
    yield writer
    plan = structure.in_order(writer.tree)
    _replace(path, records, plan, inner, metadata)


def _checked(coder):
  streams.check_coder(coder)
  return coder


def _checked_metadata(metadata):
  metadata = {} if metadata is None else metadata
  if type(metadata) is not dict:
    raise ValueError(
      f'metadata is of type {type(metadata).__name__}: it must be a dict.'
    )
  return metadata


def _replace(path, records, plan, writer, metadata):
  def write(temporary):
    with open(temporary, 'wb') as out:
      return _finish(out, records, plan, writer, metadata)

  return replace_file(path, write)


def _finish(
  out: Any, records: Any, plan: Any, writer: ties.Records, metadata: Any
) -> int:
  """Writes header, records and padding; gives the length."""
  head = header.write(plan, writer.entries, writer.same, metadata)
  size = len(head) + records.tell()
  out.write(head)
  records.seek(0)
  shutil.copyfileobj(records, out, 1 << 20)
  short = header.padding(writer.entries, size)
  out.write(b'\0' * short)
  return size + short

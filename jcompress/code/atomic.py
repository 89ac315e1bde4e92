"""Files that are there whole or not at all."""

import contextlib
import os
import pathlib
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar('Result')


def replace_file(
  path: str | os.PathLike[str], write: Callable[[pathlib.Path], Result]
) -> Result:
  """Writes a file beside its place, then moves it there; gives what it gave.

  What a symbolic link points to is replaced, not the link. A file that was
  there keeps its mode; a new one gets that of the process. Where the system has
  files without a name, the file gets one only when it is whole, so that a
  process that is killed leaves nothing behind; elsewhere one hidden file.

  Args:
    path: of the file.
    write: writes another file, whose path it is given; it opens that, and
      neither moves nor removes it.

  Raises:
    OSError: it cannot be written; an older file of its name is kept.
  """
  path = pathlib.Path(os.path.realpath(path))
  mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else _new_mode()
  handle = _open_unnamed(path.parent)
  if handle is None:
    return _replace_named(path, mode, write)
  try:
    name = _path_of(handle)
    result = write(pathlib.Path(name))
    os.fsync(handle)
    os.fchmod(handle, mode)
    try:
      _put(handle, path)
    except OSError:  # a system without links
      _replace_named(path, mode, lambda to: shutil.copyfile(name, to))
  finally:
    os.close(handle)
  return result


def _open_unnamed(folder):
  """A file in a folder, without a name; `None` where there are none."""
  if not hasattr(os, 'O_TMPFILE'):
    return None
  try:
    handle = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
  except OSError:  # another file system; what else is wrong, is so with a name
    return None
  if os.path.exists(_path_of(handle)):
    return handle
  os.close(handle)
  return None


def _path_of(handle):
  return f'/proc/self/fd/{handle}'


def _put(handle, path):
  """Gives a file without a name that of a path."""
  # With a folder to start from, which is not looked at, links are followed.
  link = lambda to: os.link(_path_of(handle), to, src_dir_fd=handle)
  try:
    return link(path)
  except FileExistsError:  # a name can be moved over another, not given twice
    hidden = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
  link(hidden)
  with _removed_on_error(hidden):
    os.replace(hidden, path)


def _replace_named(
  path: pathlib.Path, mode: int, write: Callable[[pathlib.Path], Result]
) -> Result:
  handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
  os.close(handle)
  with _removed_on_error(name):
    result = write(pathlib.Path(name))
    with open(name, 'rb+') as file:
      os.fsync(file.fileno())
    os.chmod(name, mode)
    os.replace(name, path)
  return result


@contextlib.contextmanager
def _removed_on_error(name):
  try:
    yield
  except BaseException:
    with contextlib.suppress(OSError):
      os.unlink(name)
    raise


def _new_mode():
  mask = os.umask(0)
  os.umask(mask)
  return 0o666 & ~mask
